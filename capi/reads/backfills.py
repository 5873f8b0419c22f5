"""Backfills as their pages show them: what would become of past events, and how far one has come."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from capi.clock import database_now
from capi.models import Backfill, Connection, ConversionRule
from capi.pipeline.backfill import foresee
from capi.reasons import OUTCOMES_TO_SEND, BackfillState, Outcome
from capi.words import Words
from capi.words.backfills import OUTCOMES, explain_backfill

LATELY: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Line:
    """How many past events come to one outcome; `done` so far, where it has begun."""

    label: str
    what: str
    planned: int
    done: int = 0


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would become of the past events of one rule."""

    rule: ConversionRule
    lines: Sequence[Line]
    total: int
    sendable: int


@dataclass(frozen=True, slots=True)
class ShownBackfill:
    """A backfill with the words for it. `lines` add up to what it has to go through."""

    backfill: Backfill
    words: Words
    lines: Sequence[Line]

    @property
    def is_running(self) -> bool:
        return self.backfill.state == BackfillState.RUNNING

    @property
    def most(self) -> int:
        """What the bar of its progress ends with. More may be gone through than was planned, never none."""
        return max(self.backfill.total, self.backfill.gone_through, 1)


def foreseen(rules: Iterable[ConversionRule], *, since: datetime, until: datetime) -> list[Foreseen]:
    """The plan for each of these rules, in one query each."""
    found = []
    for rule in rules:
        counts = foresee(rule, since=since, until=until)
        sendable = sum(counts[outcome] for outcome in OUTCOMES_TO_SEND)
        found.append(Foreseen(rule, _lines(counts, {}), counts.total(), sendable))
    return found


def sendable_lately(rule: ConversionRule) -> int:
    """How many CRM events of the last 30 days a backfill of the rule would send."""
    now = database_now()
    return foreseen([rule], since=now - LATELY, until=now)[0].sendable


def shown_backfill(backfill: Backfill, connection: Connection | None) -> ShownBackfill:
    return ShownBackfill(backfill, explain_backfill(backfill, connection), _lines(backfill.planned, backfill.done))


def _lines(planned: Mapping[str, int], done: Mapping[str, int]) -> list[Line]:
    """One line for each outcome; of those that are rare only where there are any."""
    return [
        Line(outcome.label, OUTCOMES[outcome], planned.get(outcome, 0), done.get(outcome, 0))
        for outcome in Outcome
        if outcome != Outcome.DEAL_DELETED or planned.get(outcome) or done.get(outcome)
    ]
