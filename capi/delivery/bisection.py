"""Finds the bad events of a batch that LinkedIn refuses.

LinkedIn accepts a batch whole or not at all. If it names the bad elements, they are dropped and the rest is sent again;
if it names none, the batch is halved; if the batch is too large, less of it is sent. What LinkedIn accepts is written
at once. Refusals are kept until the end: if everything is refused for one reason, the rule is wrong, and no event is
rejected for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from capi.delivery.selection import Sendable, fitting_events
from capi.linkedin.decisions import (
    Accepted,
    Decision,
    PauseRule,
    PerElement,
    RefusedNamed,
    RefusedUnnamed,
    TooLarge,
)
from capi.linkedin.parsing import is_about_time, is_one_reason
from capi.models import Attempt
from capi.models.choices import Reason

REFUSALS_BEFORE_PROBE = 3
# At most: if LinkedIn refuses the time of an older event, the event is wrong.
CLOCKS_DIFFER_BY = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One event that LinkedIn refused: its message, and the request that the event was in."""

    event: Sendable
    message: str
    attempt: Attempt

    def is_early(self, now: datetime) -> bool:
        """True if LinkedIn's clock is behind ours: it refuses the time of a fresh event."""
        return (
            is_about_time(self.message)
            and self.event.row.happened_at > now - CLOCKS_DIFFER_BY
        )


@dataclass(slots=True)
class BatchBisection:
    """The parts of a batch that are still to be sent, and what is known so far. The last part goes first."""

    parts: list[Sequence[Sendable]]
    refusals: list[Refusal] = field(default_factory=list)
    anything_accepted: bool = False
    is_stopped: bool = False
    _probe: Sequence[Sendable] = ()

    def next_part(self) -> Sequence[Sendable] | None:
        """What to send next. None once every event of the batch has its answer, or the batch was stopped.

        Usually a part. If everything so far was refused, one event of the untouched part, as a probe: halving all
        5,000 events of a rule that is switched off would take 10,000 requests.
        """
        if self.is_stopped or not self.parts:
            return None
        if (
            not self.anything_accepted
            and not self._probe
            and len(self.refusals) >= REFUSALS_BEFORE_PROBE
        ):
            self._probe, self.parts[0] = self.parts[0][:1], self.parts[0][1:]
            self.parts = [part for part in self.parts if part]
            return self._probe
        return self.parts.pop()

    def reconsider(self, decision: Decision, part: Sequence[Sendable]) -> Decision:
        """Return the decision, or a different one if the rest of the batch contradicts it.

        A part that is refused whole for one reason looks like a wrong rule. But if LinkedIn accepted other events of
        this rule a moment ago, the events are wrong.
        """
        looks_like_rule = (
            isinstance(decision, PauseRule)
            and decision.reason == Reason.RULE_MISCONFIGURED
        )
        if looks_like_rule and self.anything_accepted and len(part) > 1:
            return RefusedUnnamed("")
        return decision

    def record(
        self,
        decision: Decision,
        part: Sequence[Sendable],
        attempt: Attempt,
        *,
        body_limit: int | None,
    ) -> None:
        """Work out what to send next after this decision about the part.

        Any decision except an acceptance, a refusal or TooLarge stops the batch.
        """
        match decision:
            case Accepted() | PerElement():
                self.anything_accepted = True
            case RefusedNamed(reasons=reasons):
                self.refused(part, reasons, attempt)
            case RefusedUnnamed() if len(part) > 1:
                self.halve(part)
            case TooLarge():
                self.cut(fitting_events(part, body_limit))
            case _:
                self.stop()

    def refused(
        self, part: Sequence[Sendable], reasons: Mapping[int, str], attempt: Attempt
    ) -> None:
        """Keep the refusals of the elements that were named, by index, and send the others again."""
        self.refusals += [
            Refusal(part[index], reason, attempt)
            for index, reason in sorted(reasons.items())
        ]
        rest = [event for index, event in enumerate(part) if index not in reasons]
        if rest:
            self.parts.append(rest)

    def halve(self, part: Sequence[Sendable]) -> None:
        """No element was named: send less at a time to find out."""
        middle = len(part) // 2
        self.parts += [part[middle:], part[:middle]]

    def cut(self, fitting: Sequence[Sendable]) -> None:
        """The part was too large: send only `fitting` next. The other events stay due, for batches of that size."""
        self.parts = [fitting]

    def stop(self) -> None:
        """Send nothing more of the batch. Events without an answer stay due."""
        self.is_stopped = True

    @property
    def blames_rule(self) -> bool:
        """True if LinkedIn refuses the rule itself, not some of its events."""
        if self.anything_accepted or len(self.refusals) < 2:
            return False
        if self._probe:
            return any(
                refusal.event.row.pk == self._probe[0].row.pk
                for refusal in self.refusals
            )
        return not self.parts and is_one_reason(
            [refusal.message for refusal in self.refusals]
        )
