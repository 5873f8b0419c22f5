"""Backfills as their pages show them: what would become of past events, and how far one has come."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from capi.delivery.backfill import preview
from capi.models import Backfill, Connection, ConversionRule
from capi.models.choices import OUTCOMES_TO_SEND, BackfillOutcome, BackfillState
from capi.models.functions import database_now
from capi.selectors.explanations.backfills import OUTCOMES, explain_backfill
from capi.selectors.explanations.states import Explanation

LATELY: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """How many past events come to one outcome; `done` so far, where it has begun."""

    label: str
    what: str
    planned: int
    done: int = 0


@dataclass(frozen=True, slots=True)
class BackfillPreview:
    """What would become of the past events of one rule."""

    rule: ConversionRule
    lines: Sequence[PreviewRow]
    total: int
    sendable: int


@dataclass(frozen=True, slots=True)
class ExplainedBackfill:
    """A backfill with the words for it. `lines` add up to what it has to go through."""

    backfill: Backfill
    words: Explanation
    lines: Sequence[PreviewRow]

    @property
    def is_running(self) -> bool:
        return self.backfill.state == BackfillState.RUNNING

    @property
    def most(self) -> int:
        """What the bar of its progress ends with. More may be gone through than was planned, never none."""
        return max(self.backfill.total, self.backfill.gone_through, 1)


def preview_of(rules: Iterable[ConversionRule], *, since: datetime, until: datetime) -> list[BackfillPreview]:
    """The plan for each of these rules, in one query each."""
    found = []
    for rule in rules:
        counts = preview(rule, since=since, until=until)
        sendable = sum(counts[outcome] for outcome in OUTCOMES_TO_SEND)
        found.append(BackfillPreview(rule, _lines(counts, {}), counts.total(), sendable))
    return found


def sendable_lately(rule: ConversionRule) -> int:
    """How many CRM events of the last 30 days a backfill of the rule would send."""
    now = database_now()
    return preview_of([rule], since=now - LATELY, until=now)[0].sendable


def explained_backfill(backfill: Backfill, connection: Connection | None) -> ExplainedBackfill:
    return ExplainedBackfill(backfill, explain_backfill(backfill, connection), _lines(backfill.planned, backfill.done))


def _lines(planned: Mapping[str, int], done: Mapping[str, int]) -> list[PreviewRow]:
    """One line for each outcome; of those that are rare only where there are any."""
    return [
        PreviewRow(outcome.label, OUTCOMES[outcome], planned.get(outcome, 0), done.get(outcome, 0))
        for outcome in BackfillOutcome
        if outcome != BackfillOutcome.DEAL_DELETED or planned.get(outcome) or done.get(outcome)
    ]
