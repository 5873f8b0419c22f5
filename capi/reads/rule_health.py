"""How one rule is doing: when it last sent and failed, and what became of its events in the last 30 days.

The figures of days come from the counts by day, and single events from the newest stretch of the log, so that the page
costs the same however long the log is. What lies further back is known by its day.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

from django.db.models import F, Max, Q

from capi.advice import counting_warning, type_label
from capi.linkedin.rules import API_METHOD
from capi.models import Connection, ConversionEvent, ConversionRule, DayCount
from capi.reads.counts import Asked, Outcomes, outcomes_of
from capi.reads.log import STATES, STRETCH, Chip
from capi.reads.moments import days_ago, id_behind
from capi.reads.rules import RuleRow, rule_row
from capi.reads.shown import Shown, shown
from capi.reasons import Frequency, State

DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class RuleHealth:
    """A rule's row of the LinkedIn page, and more. The days are known where the events lie too far back."""

    row: RuleRow
    outcomes: Outcomes
    last_failed: Shown | None
    last_sent_on: date | None
    last_failed_on: date | None

    @property
    def warnings(self) -> list[str]:
        """What to think of, as long as the rule is as it is."""
        rule = self.row.rule
        doubles = "" if rule.frequency == Frequency.ONCE else counting_warning(rule.crm_event, rule.linkedin_type)
        return [text for text in (self.row.advice.warning, doubles) if text]

    @property
    def linkedin_type(self) -> str:
        return type_label(self.row.rule.linkedin_type)

    @property
    def has_right_method(self) -> bool:
        return self.row.rule.linkedin_method == API_METHOD


def health_of(rule: ConversionRule, connection: Connection | None) -> RuleHealth:
    """In a fixed number of queries."""
    row, last_failed = rule_row(rule, connection), _last_failed(rule)
    days: dict[str, date | None] = {}
    if row.last_sent_at is None or last_failed is None:
        days = _last_days(rule)
    return RuleHealth(
        row=row,
        outcomes=outcomes_of(rule.company_id, Asked(days_ago(DAYS - 1), days_ago(0), rule)),
        last_failed=shown(last_failed, connection) if last_failed else None,
        last_sent_on=days.get("sent") if row.last_sent_at is None else None,
        last_failed_on=days.get("failed") if last_failed is None else None,
    )


def _last_failed(rule: ConversionRule) -> ConversionEvent | None:
    events = ConversionEvent.objects.for_company(rule.company_id)
    newest = events.filter(pk__gt=id_behind(events, STRETCH, order="-pk") or 0).counted().select_related("crm_event")
    # By when it failed and not by its id: a newer event may have failed before it, which was tried for days.
    failed = (
        newest.filter(rule=rule, state__in=STATES[Chip.FAILED])
        .order_by(F("settled_at").desc(nulls_last=True), "-pk")
        .first()
    )
    if failed is not None:
        failed.rule = rule
    return failed


def _last_days(rule: ConversionRule) -> dict[str, date | None]:
    counts = DayCount.objects.for_company(rule.company_id).filter(rule=rule, count__gt=0)
    return counts.aggregate(
        sent=Max("day", filter=Q(state=State.ACCEPTED)),
        failed=Max("day", filter=Q(state__in=STATES[Chip.FAILED])),
    )
