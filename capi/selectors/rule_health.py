"""The health of one rule: when it last sent and failed, and the outcomes of its events in the last 30 days.

Daily figures come from the counts by day, and single events from the newest `STRETCH` rows of the log, so the page
costs the same however long the log is. For older events only the day is known.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from django.db.models import CharField, Count, F, Value
from django.db.models.functions import Cast, Coalesce, Lower, NullIf
from django.utils import timezone

from capi.linkedin.rules import API_METHOD
from capi.models import Connection, ConversionEvent, ConversionRule, CrmEventName
from capi.models.choices import EVENTS_ABOUT_DEALS, Frequency
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
    """A rule's row on the LinkedIn page, with details. `last_failed_on` is set if the event is too far back to find."""

    row: RuleRow
    outcomes: Outcomes
    last_failed: ExplainedEvent | None
    last_failed_on: date | None

    @property
    def warnings(self) -> list[str]:
        """Warnings about the rule's current settings."""
        rule = self.row.rule
        doubles = ""
        if rule.frequency == Frequency.EVERY_TIME:
            doubles = counting_warning(rule.crm_event, rule.linkedin_type)
        return [text for text in (self.row.advice.warning, doubles) if text]

    @property
    def linkedin_type(self) -> str:
        return type_label(self.row.rule.linkedin_type)

    @property
    def has_right_method(self) -> bool:
        return self.row.rule.linkedin_method == API_METHOD


def health_of(rule: ConversionRule, connection: Connection | None) -> RuleHealth:
    """The rule's health, in a fixed number of queries."""
    last_failed = _last_failed(rule)
    days = {} if last_failed else last_days(rule.company_id, [rule], FAILED)
    return RuleHealth(
        row=rule_row(rule, connection),
        outcomes=outcomes_of(
            rule.company_id, ReportPeriod(days_ago(DAYS - 1), days_ago(0), rule)
        ),
        last_failed=explained(last_failed, connection) if last_failed else None,
        last_failed_on=days.get(rule.pk),
    )


def _last_failed(rule: ConversionRule) -> ConversionEvent | None:
    events = ConversionEvent.objects.newest_of(rule.company_id)
    newest = (
        events.filter(pk__gt=id_behind(events, STRETCH) or 0)
        .counted()
        .select_related("crm_event")
    )
    # Ordered by time of failure, not by id: an event retried for days may fail after a newer one.
    failed = (
        newest.filter(rule=rule, state__in=FAILED)
        .order_by(F("settled_at").desc(nulls_last=True), "-pk")
        .first()
    )
    if failed is not None:
        failed.rule = rule
    return failed


# How often a new rule would have fired in the last 30 days.

# Beyond that the exact figure doesn't matter, and counting takes long.
COUNTED_AT_MOST: Final = 20_000


@dataclass(frozen=True, slots=True)
class Firing:
    """The number of CRM events, and of their leads, deals or people (`subjects`). `is_more` if there are more."""

    crm_event: str
    frequency: str
    events: int
    subjects: int
    is_more: bool
    warning: str

    @property
    def is_once(self) -> bool:
        return self.frequency != Frequency.EVERY_TIME

    @property
    def times(self) -> int:
        """How often the rule would have fired."""
        return self.subjects if self.is_once else self.events

    @property
    def title(self) -> str:
        return CrmEventName(self.crm_event).label

    @property
    def about(self) -> str:
        if self.frequency == Frequency.PER_PERSON:
            return "person"
        return "deal" if self.crm_event in EVENTS_ABOUT_DEALS else "lead"


def firing_of_each(company: Company) -> list[Firing]:
    """The figures for a new rule that counts once, for each CRM event: one query each, however many rules there are."""
    each = (
        firing_of(company, crm_event=event, frequency=Frequency.ONCE)
        for event in CrmEventName
    )
    return [firing for firing in each if firing is not None]


def firing_of(
    company: Company, *, crm_event: str, frequency: str, linkedin_type: str = ""
) -> Firing | None:
    """The figures for a rule with these settings, in one query. None if no CRM event is chosen."""
    if crm_event not in CrmEventName:
        return None
    since = timezone.now() - timedelta(days=30)
    recent = CrmEvent.objects.for_company(company).filter(
        kind=crm_event, occurred_at__gte=since, history_only=False
    )
    # In index order: without an order, a prepared plan scans the whole table for a rare kind.
    recent = recent.order_by("-occurred_at")
    subjects = recent.values(subject=_subject(frequency))[: COUNTED_AT_MOST + 1]
    counts = subjects.aggregate(
        events=Count("*"), subjects=Count("subject", distinct=True)
    )
    return Firing(
        crm_event=crm_event,
        frequency=frequency,
        events=min(counts["events"], COUNTED_AT_MOST),
        subjects=min(counts["subjects"], COUNTED_AT_MOST),
        is_more=counts["events"] > COUNTED_AT_MOST,
        warning=counting_warning(crm_event, linkedin_type),
    )


def _subject(frequency: str) -> Coalesce:
    """What counts once: the deal, or else the lead. For people: the address, or else the lead."""
    if frequency != Frequency.PER_PERSON:
        return Coalesce("deal_id", "lead_id")
    return Coalesce(
        NullIf(Lower("lead__email"), Value("")), Cast("lead_id", CharField())
    )
