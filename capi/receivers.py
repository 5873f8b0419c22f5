"""Receivers of crm's signals. Each makes one call in the transaction of the change."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

from django.db.models.signals import post_delete
from django.dispatch import receiver

from capi.delivery import cancellation, deal_people, merges, planning
from capi.delivery.recall import note_recall, recall_unsent
from capi.delivery.wakeup import wake_on_commit
from capi.linkedin import failpoints
from capi.models.choices import State
from capi.selectors.deal_people import NOT_NOW, why_lead_stays
from capi.selectors.explanations.explain import already_told
from crm.models import CrmEvent, Deal, Lead, LeadMerge
from crm.signals import (
    AlreadySent,
    company_closed,
    company_reopened,
    crm_event_values_changing,
    crm_events_recorded,
    crm_events_taken_back,
    deal_lead_changed,
    lead_contact_changed,
    lead_erased,
    leads_merged,
    merge_undone,
)


@receiver(crm_events_recorded)
def plan_conversions(events: Sequence[CrmEvent], **kwargs: Any) -> None:
    """Create the conversion events for these CRM events."""
    for company_id, wait_seconds in planning.plan(
        [event.pk for event in events]
    ).items():
        wake_on_commit(company_id, after_seconds=wait_seconds)
    failpoints.reached("planned")


@receiver(crm_events_taken_back)
def take_back_conversions(
    company_ids: Collection[int], crm_event_ids: Sequence[int], **kwargs: Any
) -> AlreadySent | None:
    """Cancel the unsent conversion events of these CRM events. Returns what LinkedIn already has, if anything."""
    told = cancellation.take_back(company_ids=company_ids, crm_event_ids=crm_event_ids)
    counts = Counter(
        (event.rule.get_crm_event_display(), event.state)
        for event in told.select_related("rule")
    )
    sentences = [
        already_told(name, State(state), count)
        for (name, state), count in sorted(counts.items())
    ]
    return AlreadySent(sentences, counts.total()) if sentences else None


@receiver(crm_event_values_changing)
def recall_values(company_ids: Collection[int], **kwargs: Any) -> None:
    """Make every request that begins from now on wait for the new values."""
    recall_unsent(company_ids)


@receiver(lead_contact_changed)
def follow_contact(lead_ids: Sequence[int], **kwargs: Any) -> None:
    """Queue waiting events of leads that now have an address, and skip those of people who opted out."""
    for company_id in planning.contact_changed(lead_ids=lead_ids):
        wake_on_commit(company_id)


@receiver(post_delete, sender=Lead)
@receiver(post_delete, sender=Deal)
def recall_deleted(instance: Lead | Deal, using: str, **kwargs: Any) -> None:
    """Keep the deleted lead or deal out of every request that begins later."""
    note_recall([instance.company_id], using=using)


@receiver(lead_erased)
def forget_leads(company_id: int, lead_ids: Sequence[int], **kwargs: Any) -> None:
    """Cancel these people's events and erase their hashes. Returns once no request in flight contains them."""
    cancellation.forget_leads(company_id=company_id, lead_ids=lead_ids)


@receiver(leads_merged)
def merge_leads(
    merge: LeadMerge, without_address: Collection[int], **kwargs: Any
) -> list[merges.Ended]:
    """Move the events of the lead that goes to the lead that is kept. Returns those that the merge ended."""
    return merges.follow_merge(
        company_id=merge.company_id,
        kept=merge.kept_id,
        gone=merge.gone_id,
        without_address=without_address,
    )


@receiver(merge_undone)
def separate_leads(
    merge: LeadMerge, crm_events: Sequence[int], sharing_changed: bool, **kwargs: Any
) -> None:
    """Move the events back to their former lead."""
    merges.follow_undo(
        company_id=merge.company_id,
        kept=merge.kept_id,
        gone=merge.gone_id,
        crm_events=crm_events,
        ended=merge.ended,
        since=merge.merged_at,
        sharing_changed=sharing_changed,
    )


@receiver(deal_lead_changed)
def follow_deal_lead(deal: Deal, was: int, **kwargs: Any) -> str:
    """Move the deal's events to its new lead. Returns why that can't be done; "" if it was."""
    ids = {"company_id": deal.company_id, "deal_id": deal.pk}
    if deal_people.follow_lead(**ids, was=was, now=deal.lead_id):
        return ""
    return why_lead_stays(deal) or NOT_NOW


@receiver(company_closed)
def close_company(company_id: int, **kwargs: Any) -> None:
    """Cancel the company's open events and stop sending."""
    cancellation.close_company(company_id=company_id)


@receiver(company_reopened)
def reopen_company(company_id: int, **kwargs: Any) -> None:
    """Allow sending again."""
    cancellation.reopen_company(company_id=company_id)
