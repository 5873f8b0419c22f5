"""How one rule is doing: when it last sent and failed, and what became of its events in the last 30 days.

The figures of days come from the counts by day, and single events from the newest stretch of the log, so that the page
costs the same however long the log is. What lies further back is known by its day.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from django.db.models import Count, F
from django.db.models.functions import Coalesce
from django.utils import timezone

from capi.linkedin.rules import API_METHOD
from capi.models import Connection, ConversionEvent, ConversionRule, CrmEventName
from capi.models.choices import Frequency
from capi.models.functions import days_ago, id_behind
from capi.selectors.events import STRETCH
from capi.selectors.explained_events import ExplainedEvent, explained
from capi.selectors.explanations.rules import counting_warning, type_label
from capi.selectors.reports import Outcomes, ReportPeriod, outcomes_of
from capi.selectors.rules import RuleRow, last_days, rule_row
from capi.selectors.state_groups import FAILED
from crm.models import Company, CrmEvent

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
    days = {} if last_failed else last_days(rule.company_id, [rule], FAILED)
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
    failed = newest.filter(rule=rule, state__in=FAILED).order_by(F("settled_at").desc(nulls_last=True), "-pk").first()
    if failed is not None:
        failed.rule = rule
    return failed


# --- How often a rule would have fired, had it been there for the last 30 days.

FIRING_DAYS: Final = 30
COUNTED_AT_MOST: Final = 20_000  # beyond that the exact figure tells nobody anything, and counting takes long


@dataclass(frozen=True, slots=True)
class Firing:
    """`events` CRM events of the kind, of `subjects` leads or deals; more than these where `is_more`."""

    crm_event: str
    frequency: str
    events: int
    subjects: int
    is_more: bool
    warning: str

    @property
    def is_once(self) -> bool:
        return self.frequency == Frequency.ONCE

    @property
    def times(self) -> int:
        """How often the rule would have fired."""
        return self.subjects if self.is_once else self.events

    @property
    def title(self) -> str:
        return CrmEventName(self.crm_event).label

    @property
    def about(self) -> str:
        return "deal" if CrmEventName(self.crm_event).is_about_deal else "lead"


def firing_of_each(company: Company) -> list[Firing]:
    """The figures for a new rule of each CRM event, in a query for each event, however many rules there are."""
    each = (firing_of(company, crm_event=event, frequency=Frequency.ONCE) for event in CrmEventName)
    return [firing for firing in each if firing is not None]


def firing_of(company: Company, *, crm_event: str, frequency: str, linkedin_type: str = "") -> Firing | None:
    """The figures for a rule like this, in one query; None while no CRM event has been chosen."""
    if crm_event not in CrmEventName:
        return None
    since = timezone.now() - timedelta(days=FIRING_DAYS)
    recent = CrmEvent.objects.for_company(company).filter(kind=crm_event, occurred_at__gte=since)
    # In the order of the index: without one, a prepared plan walks the whole table to find none of a rare kind.
    recent = recent.order_by("-occurred_at")
    subjects = recent.values(subject=Coalesce("deal_id", "lead_id"))[: COUNTED_AT_MOST + 1]
    counts = subjects.aggregate(events=Count("*"), subjects=Count("subject", distinct=True))
    return Firing(
        crm_event=crm_event,
        frequency=frequency,
        events=min(counts["events"], COUNTED_AT_MOST),
        subjects=min(counts["subjects"], COUNTED_AT_MOST),
        is_more=counts["events"] > COUNTED_AT_MOST,
        warning=counting_warning(crm_event, linkedin_type),
    )
