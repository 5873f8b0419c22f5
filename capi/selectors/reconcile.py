"""Reconcile: the outcomes of a week's CRM events, by rule. Raises AssertionError if the numbers don't add up.

A CRM event counts in the week in which it happened, even if a backfill sent it later. Test events have no CRM event and
are left out.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from django.conf import settings
from django.db import connection as database
from django.utils import timezone

from capi.models import Connection, ConversionEvent, ConversionRule
from capi.models.choices import State
from capi.models.functions import WEEK, monday_of
from capi.selectors.events import NO_REASON
from capi.selectors.explanations.explain import became
from capi.selectors.explanations.states import Explanation
from capi.selectors.state_groups import StateFilter, filter_of
from crm.models import CrmEvent
from crm.models.company import start_of
from postgresql.bounds import LONG_SECONDS, statements_may_take

# One statement, so one snapshot: it counts the CRM events twice, on their own and by outcome. It looks up the
# conversion event of each CRM event by key: 96 ms for a week of 79,000 in a million. With a join, PostgreSQL reads the
# events of all companies and weeks: 163 ms, and more as the log grows.
COUNTS: Final = """
    SELECT found.id, found.became, COUNT(*),
           (SELECT COUNT(*) FROM {crm_event} t WHERE t.company_id = found.company_id AND t.kind = found.crm_event
                                                 AND t.occurred_at >= %s AND t.occurred_at < %s
                                                 AND NOT t.history_only)
    FROM (SELECT r.id, r.company_id, r.crm_event,
                 (SELECT c.state || ' ' || c.reason FROM {event} c
                  WHERE c.crm_event_id = e.id AND c.rule_id = r.id) AS became
          FROM {rule} r
          JOIN {crm_event} e ON e.company_id = r.company_id AND e.kind = r.crm_event
                            AND e.occurred_at >= %s AND e.occurred_at < %s
                            AND NOT e.history_only
          WHERE r.company_id = %s) AS found
    GROUP BY found.id, found.company_id, found.crm_event, found.became
"""


@dataclass(frozen=True, slots=True)
class ReconcileRow:
    """CRM events with the same result. `chip` and `reason` find exactly these in Recent Events."""

    words: Explanation
    count: int
    chip: str
    reason: str


@dataclass(frozen=True, slots=True)
class RuleWeek:
    """The outcomes of a rule's CRM events."""

    rule: ConversionRule
    crm_events: int
    lines: Sequence[ReconcileRow]

    def __post_init__(self) -> None:
        assert sum(line.count for line in self.lines) == self.crm_events, (
            f"Rule {self.rule.pk} does not add up."
        )


@dataclass(frozen=True, slots=True)
class Week:
    """A week from `monday` on, in the company's time zone."""

    monday: date
    rules: Sequence[RuleWeek]

    @property
    def sunday(self) -> date:
        return self.monday + timedelta(days=6)

    @property
    def previous(self) -> date | None:
        """The Monday before, None if its events are no longer kept."""
        return self.monday - WEEK if self.monday > earliest_week() else None

    @property
    def next(self) -> date | None:
        if self.monday < monday_of(timezone.localdate()):
            return self.monday + WEEK
        return None


def reconcile(company_id: int, monday: date, connection: Connection | None) -> Week:
    """The company's week, in the active time zone, in two queries."""
    rows = _counts(company_id, monday)
    rules = ConversionRule._base_manager.in_bulk({rule_id for rule_id, *_ in rows})
    weeks = (
        _rule_week(rule, [row for row in rows if row[0] == rule.pk], connection)
        for rule in rules.values()
    )
    shown = [week for week in weeks if week is not None]
    return Week(monday, sorted(shown, key=lambda week: week.rule.pk))


def earliest_week() -> date:
    """The first Monday whose events are all still kept."""
    return (
        monday_of(timezone.localdate() - timedelta(days=settings.RETENTION_DAYS)) + WEEK
    )


Row = tuple[int, str | None, str | None, int, int]


@statements_may_take(LONG_SECONDS)
def _counts(company_id: int, monday: date) -> list[Row]:
    span = [
        database.ops.adapt_datetimefield_value(start_of(day))
        for day in (monday, monday + WEEK)
    ]
    models = {"crm_event": CrmEvent, "rule": ConversionRule, "event": ConversionEvent}
    with database.cursor() as cursor:
        cursor.execute(
            COUNTS.format(
                **{name: model._meta.db_table for name, model in models.items()}
            ),
            [*span, *span, company_id],
        )
        return [
            (rule_id, *_state_and_reason(became), *counts)
            for rule_id, became, *counts in cursor.fetchall()
        ]


def _state_and_reason(became: str | None) -> tuple[str | None, str | None]:
    """None for both if the CRM event has no conversion event."""
    if became is None:
        return None, None
    state, _, reason = became.partition(" ")
    return state, reason


def _rule_week(
    rule: ConversionRule, rows: Sequence[Row], connection: Connection | None
) -> RuleWeek | None:
    """None for a deleted rule without conversion events in the week."""
    if rule.deleted_at is not None and all(state is None for _, state, *_ in rows):
        return None
    is_on_hold = rule.is_on_hold(connection)
    counts: Counter[tuple[Explanation, str, str]] = Counter()
    for _, state, reason, count, _ in rows:
        chip = "" if state is None else filter_of(state, is_on_hold=is_on_hold)
        counts[
            became(state, reason or "", is_on_hold=is_on_hold),
            chip,
            _reason(state, reason),
        ] += count
    return RuleWeek(rule, rows[0][-1], _in_order(counts.items()))


def _in_order(
    counts: Iterable[tuple[tuple[Explanation, str, str], int]],
) -> list[ReconcileRow]:
    lines = [
        ReconcileRow(words, count, chip, reason)
        for (words, chip, reason), count in counts
    ]
    return sorted(
        lines,
        key=lambda line: (CHIPS.index(line.chip), line.words.label, line.words.what),
    )


CHIPS: Final = (
    StateFilter.SENT,
    StateFilter.QUEUED,
    StateFilter.ON_HOLD,
    StateFilter.WAITING,
    StateFilter.EXPIRED,
    StateFilter.EXHAUSTED,
    StateFilter.REJECTED,
    StateFilter.CANCELLED,
    StateFilter.SKIPPED,
    "",
)


def _reason(state: str | None, reason: str | None) -> str:
    """The reason to filter by, "" if the state is enough."""
    return "" if state in (None, State.ACCEPTED, State.PENDING) else reason or NO_REASON
