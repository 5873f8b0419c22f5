"""Sending one batch, and finding out who is to blame where LinkedIn refuses it.

LinkedIn takes a batch whole or not at all. Where it names the bad elements they are dropped and the rest goes again;
where it names nobody the batch is halved; where it is too large, less of it goes. What LinkedIn accepts is written at
once. Refusals are kept until the end: if everything is refused for one reason it is the rule that is wrong, and then no
event is burnt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from capi.delivery.selection import Sendable
from capi.linkedin.decisions import Decision, PauseRule, RefusedUnnamed
from capi.linkedin.parsing import is_about_time, is_one_reason
from capi.models import Attempt
from capi.models.choices import Reason

REFUSALS_BEFORE_PROBE = 3
CLOCKS_DIFFER_BY = timedelta(minutes=10)  # at most; beyond it an event that LinkedIn finds too new is a wrong event


@dataclass(frozen=True, slots=True)
class Refusal:
    """One event that LinkedIn refused: its words, and the request that it was in."""

    event: Sendable
    message: str
    attempt: Attempt

    def is_early(self, now: datetime) -> bool:
        """True if it is LinkedIn's clock that is behind ours: it finds the time of a fresh event wrong."""
        return is_about_time(self.message) and self.event.row.happened_at > now - CLOCKS_DIFFER_BY


@dataclass(slots=True)
class BatchBisection:
    """The parts of a batch that are still to be sent, and what is known so far. The last part goes first."""

    parts: list[Sequence[Sendable]]
    refusals: list[Refusal] = field(default_factory=list)
    anything_accepted: bool = False
    _probe: Sequence[Sendable] = ()

    def next_part(self) -> Sequence[Sendable] | None:
        """What to send next, or None when all of the batch has had its answer.

        Usually a part. Where all so far was refused, one event of the untouched part, as a probe: to go on halving
        5,000 events of a rule that is switched off would take 10,000 requests.
        """
        if not self.parts:
            return None
        if not self.anything_accepted and not self._probe and len(self.refusals) >= REFUSALS_BEFORE_PROBE:
            self._probe, self.parts[0] = self.parts[0][:1], self.parts[0][1:]
            self.parts = [part for part in self.parts if part]
            return self._probe
        return self.parts.pop()

    def in_its_light(self, decision: Decision, part: Sequence[Sendable]) -> Decision:
        """The decision, or another one where the hunt knows better than one answer can tell.

        All of a part refused for one reason looks like the rule; but if LinkedIn took other events of this rule a
        moment ago, it is these events.
        """
        looks_like_rule = isinstance(decision, PauseRule) and decision.reason == Reason.RULE_MISCONFIGURED
        return RefusedUnnamed("") if looks_like_rule and self.anything_accepted and len(part) > 1 else decision

    def refused(self, part: Sequence[Sendable], reasons: Mapping[int, str], attempt: Attempt) -> None:
        """These elements of the part, by index, were named. The others go again."""
        self.refusals += [Refusal(part[index], reason, attempt) for index, reason in sorted(reasons.items())]
        rest = [event for index, event in enumerate(part) if index not in reasons]
        if rest:
            self.parts.append(rest)

    def halve(self, part: Sequence[Sendable]) -> None:
        """Nobody was named: find out by sending less at a time."""
        middle = len(part) // 2
        self.parts += [part[middle:], part[:middle]]

    def cut(self, fitting: Sequence[Sendable]) -> None:
        """The part was too large: these of it go next. The others stay due, for batches of the size that fits."""
        self.parts = [fitting]

    @property
    def blames_rule(self) -> bool:
        """True if it is the rule that LinkedIn refuses, and not the people."""
        if self.anything_accepted or len(self.refusals) < 2:
            return False
        if self._probe:
            return any(refusal.event is self._probe[0] for refusal in self.refusals)
        return not self.parts and is_one_reason([refusal.message for refusal in self.refusals])
