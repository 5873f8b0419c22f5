"""Backfills for their pages: the outcomes that past events would have, and progress."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from capi.delivery.backfill import preview
from capi.models import Backfill, Connection, ConversionRule
from capi.models.choices import OUTCOMES_TO_SEND, BackfillOutcome
from capi.models.functions import database_now
from capi.selectors.explanations.backfills import OUTCOMES, explain_backfill
from capi.selectors.explanations.states import Explanation

LATELY: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class BackfillRow:
    """The number of past events with one outcome: `planned`, and `done` so far."""

    label: str
    what: str
    planned: int
    done: int = 0


@dataclass(frozen=True, slots=True)
class BackfillPreview:
    """The outcomes that a rule's past events would have."""

    rule: ConversionRule
    lines: Sequence[BackfillRow]
    total: int
    sendable: int


@dataclass(frozen=True, slots=True)
class ExplainedBackfill:
    """A backfill and its explanation. `lines` add up to the number of CRM events to process."""

    backfill: Backfill
    words: Explanation
    lines: Sequence[BackfillRow]

    @property
    def is_running(self) -> bool:
        return self.backfill.is_at_work

    @property
    def most(self) -> int:
        """The end of the progress bar, at least 1: a backfill may process more than was planned."""
        return max(self.backfill.row_count, self.backfill.reached, 1)


def preview_of(
    rules: Iterable[ConversionRule], *, since: datetime, until: datetime
) -> list[BackfillPreview]:
    """A preview for each of these rules, in one query each."""
    previews = []
    for rule in rules:
        counts = preview(rule, since=since, until=until)
        sendable = sum(counts[outcome] for outcome in OUTCOMES_TO_SEND)
        previews.append(
            BackfillPreview(rule, _lines(counts, {}), counts.total(), sendable)
        )
    return previews


def sendable_lately(rule: ConversionRule) -> int:
    """How many CRM events of the last 30 days a backfill of this rule would send."""
    now = database_now()
    return preview_of([rule], since=now - LATELY, until=now)[0].sendable


def explained_backfill(
    backfill: Backfill, connection: Connection | None
) -> ExplainedBackfill:
    return ExplainedBackfill(
        backfill,
        explain_backfill(backfill, connection),
        _lines(backfill.planned, backfill.done),
    )


def _lines(planned: Mapping[str, int], done: Mapping[str, int]) -> list[BackfillRow]:
    """One row for each outcome; DEAL_DELETED is rare, and left out if there are none."""
    return [
        BackfillRow(
            outcome.label,
            OUTCOMES[outcome],
            planned.get(outcome, 0),
            done.get(outcome, 0),
        )
        for outcome in BackfillOutcome
        if outcome != BackfillOutcome.DEAL_DELETED
        or planned.get(outcome)
        or done.get(outcome)
    ]
