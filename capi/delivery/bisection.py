"""Finding the bad events of a batch that LinkedIn refuses.

LinkedIn accepts a batch whole or not at all. Where it names the bad elements, they are dropped and the rest is sent
again; where it names none, the batch is halved; where the batch is too large, less of it is sent. What LinkedIn accepts
is written at once. Refusals are kept until the end: if everything is refused for one reason, the rule is wrong, and no
event is rejected for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from capi.delivery.selection import Sendable, fitting_events
from capi.linkedin.decisions import Accepted, Decision, PauseRule, PerElement, RefusedNamed, RefusedUnnamed, TooLarge
from capi.linkedin.parsing import is_about_time, is_one_reason
from capi.models import Attempt
from capi.models.choices import Reason

REFUSALS_BEFORE_PROBE = 3
CLOCKS_DIFFER_BY = timedelta(minutes=10)  # at most; an event that LinkedIn finds too new by more is a wrong event


@dataclass(frozen=True, slots=True)
class Refusal:
    """One event that LinkedIn refused: its message, and the request that the event was in."""

    event: Sendable
    message: str
    attempt: Attempt

    def is_early(self, now: datetime) -> bool:
        """True if LinkedIn's clock is behind ours: it refuses the time of a fresh event."""
        return is_about_time(self.message) and self.event.row.happened_at > now - CLOCKS_DIFFER_BY


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

        Usually a part. While everything so far was refused, one event of the untouched part, as a probe: to go on
        halving 5,000 events of a rule that is switched off would take 10,000 requests.
        """
        if self.is_stopped or not self.parts:
            return None
        if not self.anything_accepted and not self._probe and len(self.refusals) >= REFUSALS_BEFORE_PROBE:
            self._probe, self.parts[0] = self.parts[0][:1], self.parts[0][1:]
            self.parts = [part for part in self.parts if part]
            return self._probe
        return self.parts.pop()

    def reconsider(self, decision: Decision, part: Sequence[Sendable]) -> Decision:
        """Return the decision, or a different one if the rest of the batch contradicts it.

        A part that is refused whole for one reason looks like a wrong rule. But if LinkedIn accepted other events of
        this rule a moment ago, the events are wrong.
        """
        looks_like_rule = isinstance(decision, PauseRule) and decision.reason == Reason.RULE_MISCONFIGURED
        return RefusedUnnamed("") if looks_like_rule and self.anything_accepted and len(part) > 1 else decision

    def record(self, decision: Decision, part: Sequence[Sendable], attempt: Attempt, *, body_limit: int | None) -> None:
        """Work out what to send next after this decision about the part. Any but an acceptance or refusal stops it."""
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

    def refused(self, part: Sequence[Sendable], reasons: Mapping[int, str], attempt: Attempt) -> None:
        """These elements of the part, by index, were named. The others are sent again."""
        self.refusals += [Refusal(part[index], reason, attempt) for index, reason in sorted(reasons.items())]
        rest = [event for index, event in enumerate(part) if index not in reasons]
        if rest:
            self.parts.append(rest)

    def halve(self, part: Sequence[Sendable]) -> None:
        """No element was named: send less at a time to find out."""
        middle = len(part) // 2
        self.parts += [part[middle:], part[:middle]]

    def cut(self, fitting: Sequence[Sendable]) -> None:
        """The part was too large: send these of it next. The others stay due, for batches of the size that fits."""
        self.parts = [fitting]

    def stop(self) -> None:
        """Send nothing more of the batch. What has no answer stays due."""
        self.is_stopped = True

    @property
    def blames_rule(self) -> bool:
        """True if LinkedIn refuses the rule, and not some events."""
        if self.anything_accepted or len(self.refusals) < 2:
            return False
        if self._probe:
            return any(refusal.event.row.pk == self._probe[0].row.pk for refusal in self.refusals)
        return not self.parts and is_one_reason([refusal.message for refusal in self.refusals])
