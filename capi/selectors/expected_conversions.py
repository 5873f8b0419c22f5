"""How many conversions a CRM event would send for many leads, before it happens."""

from collections.abc import Sequence

from django.db.models import Count, Exists, OuterRef, Q

from capi.delivery.deduplication import HANDS_OVER
from capi.delivery.persons import people_to_count
from capi.models import ConversionEvent, ConversionRule
from capi.models.choices import Frequency
from crm.models import Company, CrmEventKind
from crm.models.lead import LeadQuerySet
from crm.services.status_changes import ExpectedConversions


def of_leads(
    company: Company, leads: LeadQuerySet, kind: CrmEventKind
) -> Sequence[ExpectedConversions]:
    """A row for each active rule that would send any. One query per rule, four if the rule counts people."""
    rules = ConversionRule.objects.for_company(company).active().filter(crm_event=kind)
    return [row for rule in rules if (row := _of_rule(rule, leads)).total]


def of_new_leads(
    company: Company, kind: CrmEventKind, now: int, later: int
) -> Sequence[ExpectedConversions]:
    """A row for each of the company's active rules, for leads that are about to be added.

    The numbers are upper limits: a rule that counts people may have counted some of these.
    """
    rules = ConversionRule.objects.for_company(company).active().filter(crm_event=kind)
    return [
        ExpectedConversions(rule.pk, str(rule), now, later)
        for rule in rules
        if now + later
    ]


def _of_rule(rule: ConversionRule, leads: LeadQuerySet) -> ExpectedConversions:
    shared = leads.filter(share_with_ad_platforms=True)
    if rule.frequency == Frequency.ONCE:
        counted = ConversionEvent.objects.filter(
            ~HANDS_OVER, rule=rule, once_key=OuterRef("pk")
        )
        shared = shared.exclude(Exists(counted))
    if rule.counts_people:
        addresses = shared.exclude(email="").values_list("email", flat=True)
        now, later = (
            len(people_to_count(rule, addresses)),
            shared.filter(email="").count(),
        )
        return ExpectedConversions(rule.pk, str(rule), now=now, later=later)
    counts = shared.aggregate(
        now=Count("pk", filter=~Q(email="")), later=Count("pk", filter=Q(email=""))
    )
    return ExpectedConversions(rule.pk, str(rule), **counts)


def reported_kinds(company: Company) -> set[str]:
    """The kinds of CRM event for which the company has an active rule."""
    rules = ConversionRule.objects.for_company(company).active()
    return set(rules.order_by().values_list("crm_event", flat=True))
