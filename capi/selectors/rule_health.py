"""How one rule is doing: when it last sent and failed, and what became of its events in the last 30 days.

The figures of days come from the counts by day, and single events from the newest stretch of the log, so that the page
costs the same however long the log is. What lies further back is known by its day.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

from django.db.models import F

from capi.linkedin.rules import API_METHOD
from capi.models import Connection, ConversionEvent, ConversionRule
from capi.models.choices import Frequency
from capi.selectors.events import STATES, STRETCH, StateFilter
from capi.selectors.explained_events import ExplainedEvent, explained
from capi.selectors.explanations.rules import counting_warning, type_label
from capi.selectors.periods import days_ago, id_behind
from capi.selectors.reports import Outcomes, ReportPeriod, outcomes_of
from capi.selectors.rules import RuleRow, last_days, rule_row

DAYS: Final = 30


@dataclass(frozen=True, slots=True)
class RuleHealth:
    """A rule's row of the LinkedIn page, and more. `last_failed_on` is known where the event lies too far back."""

    row: RuleRow
    outcomes: Outcomes
    last_failed: ExplainedEvent | None
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
    last_failed = _last_failed(rule)
    days = {} if last_failed else last_days(rule.company_id, [rule], STATES[StateFilter.FAILED])
    return RuleHealth(
        row=rule_row(rule, connection),
        outcomes=outcomes_of(rule.company_id, ReportPeriod(days_ago(DAYS - 1), days_ago(0), rule)),
        last_failed=explained(last_failed, connection) if last_failed else None,
        last_failed_on=days.get(rule.pk),
    )


def _last_failed(rule: ConversionRule) -> ConversionEvent | None:
    events = ConversionEvent.objects.for_company(rule.company_id)
    newest = events.filter(pk__gt=id_behind(events, STRETCH, order="-pk") or 0).counted().select_related("crm_event")
    # By when it failed and not by its id: a newer event may have failed before it, which was tried for days.
    failed = (
        newest.filter(rule=rule, state__in=STATES[StateFilter.FAILED])
        .order_by(F("settled_at").desc(nulls_last=True), "-pk")
        .first()
    )
    if failed is not None:
        failed.rule = rule
    return failed
