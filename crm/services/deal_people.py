"""The people of a deal: its lead, whom its conversions are about, and the further people."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Final

from django.db import transaction
from django.db.models.functions import Now

from crm.models import CrmEvent, Deal, DealPerson, Lead, User
from crm.models.lead import LeadMerged, PersonErased
from crm.models.tracking.origin import current_actor
from crm.models.tracking.recorder import record_person
from crm.services.deadlocks import tried_again
from crm.services.erasure import lock_deal
from crm.signals import deal_lead_changed

PEOPLE_AT_MOST: Final = 20  # of a deal, besides its lead
TOO_MANY: Final = (
    f"A deal can have {PEOPLE_AT_MOST} people besides its lead. Remove one first."
)
NOT_THERE: Final = (
    "This lead is not one of the deal's people any more. Add them again first."
)
IS_LEAD: Final = "The lead of a deal can't be one of its further people too."

# crm imports no other app. At start-up, an app that reports deals appends a function that returns why a deal must keep
# its lead, as a sentence, or "". The answer may be out of date when the lead is changed: `deal_lead_changed` decides.
reasons_to_keep_lead: Final[list[Callable[[Deal], str]]] = []


class PeopleRefused(Exception):
    """The people of a deal were not changed; the message says why."""


def why_lead_stays(deal: Deal) -> str:
    """Why the deal can no longer get another lead, as a sentence; "" if it can."""
    return next(filter(None, (reason(deal) for reason in reasons_to_keep_lead)), "")


@tried_again
def add_person(*, deal: Deal, lead: Lead) -> None:
    """Add a further person. Raises PeopleRefused, and PersonErased, LeadMerged, DealReassigned or DeletedMeanwhile."""
    with _locked(deal, [deal.lead_id, lead.pk]):
        if lead.pk == deal.lead_id:
            raise PeopleRefused(IS_LEAD)
        _write(deal, added=[lead.pk])


@tried_again
def remove_person(*, deal: Deal, lead: Lead) -> None:
    """Remove a further person. Raises PersonErased, DealReassigned or DeletedMeanwhile."""
    with _locked(deal, [deal.lead_id], removed=[lead.pk]):
        _write(deal, removed=[lead.pk])


def hold_people(*, deal: Deal, leads: Collection[int]) -> None:
    """Lock the deal's people and these leads in the common lock order, before any of them is locked alone."""
    pks = {deal.lead_id, *leads, *_further(deal)}
    rows = Lead.objects.for_company(deal.company_id).filter(pk__in=pks).order_by("pk")
    list(rows.select_for_update(no_key=True).values_list("pk"))


@transaction.atomic
def replace_people(*, deal: Deal, leads: Collection[int]) -> None:
    """Give the deal these further people, by key, and no others. Raises the same as `add_person`."""
    # A person whom someone else adds at the same moment counts as added afterwards, and stays.
    removed = _further(deal).difference(leads)
    with _locked(deal, [deal.lead_id, *leads], removed=removed):
        if deal.lead_id in leads:
            raise PeopleRefused(IS_LEAD)
        _write(deal, removed=removed, added=leads)


@tried_again
@transaction.atomic
def change_lead(*, deal: Deal, lead: Lead, of_people: bool = False) -> None:
    """Give the deal another lead, to whom everything recorded about the deal and not yet sent is transferred.

    If the new lead is one of its further people, the former lead takes their place. Raises PeopleRefused if something
    may have been sent, or if the new lead has to be one `of_people` and isn't; otherwise the same as `add_person`.
    """
    was = deal.lead_id
    is_erased = _lock_leads(deal, [was, lead.pk], but_erased=was)
    lock_deal(deal.pk, lead_id=was)
    if lead.pk == was:
        return
    # For both leads: a script or the operator may have made one of the people the lead without removing their place.
    places = DealPerson.objects.filter(deal=deal, lead__in=[was, lead.pk])
    had_place = places.filter(lead=lead).exists()
    if of_people and not had_place:
        raise PeopleRefused(NOT_THERE)
    places.delete()
    if had_place and not is_erased:
        DealPerson.objects.create(
            company_id=deal.company_id, deal=deal, lead_id=was, added_by=_actor()
        )
    # The events stay with a former lead who was erased: no one else may be reported for them.
    if not is_erased:
        CrmEvent.objects.for_company(deal.company_id).filter(
            deal=deal, lead=was
        ).update(lead=lead)
    Deal.objects.filter(pk=deal.pk).update_without_events(lead=lead, updated_at=Now())
    changed = Deal.objects.get(pk=deal.pk)
    for _, refusal in deal_lead_changed.send(sender=Deal, deal=changed, was=was):
        if refusal:
            raise PeopleRefused(refusal)
    deal.lead = lead


def _further(deal: Deal) -> set[int]:
    if deal.pk:
        return set(DealPerson.objects.filter(deal=deal).values_list("lead", flat=True))
    return set()


@contextmanager
def _locked(
    deal: Deal, leads: Collection[int], *, removed: Collection[int] = ()
) -> Iterator[None]:
    """Lock the leads and then the deal, in the common lock order: none of them can be erased meanwhile."""
    with transaction.atomic():
        _lock_leads(deal, leads, removed=removed)
        lock_deal(deal.pk, lead_id=deal.lead_id)
        yield


def _lock_leads(
    deal: Deal,
    pks: Collection[int],
    *,
    removed: Collection[int] = (),
    but_erased: int | None = None,
) -> bool:
    """Lock these leads of the deal's company. Raises PersonErased, also for a deleted lead, or LeadMerged.

    Leads to be `removed` may be in any state. Returns True if the lead `but_erased` is erased, which is not an error.
    """
    leads = (
        Lead.objects.for_company(deal.company_id)
        .filter(pk__in={*pks, *removed})
        .order_by("pk")
    )
    rows = leads.select_for_update(no_key=True)
    found = {
        pk: state for pk, *state in rows.values_list("pk", "erased_at", "merged_into")
    }
    for pk in pks:
        erased_at, merged_into = found.get(pk, (True, None))
        if erased_at and pk != but_erased:
            raise PersonErased
        if merged_into:
            raise LeadMerged
    return but_erased in found and bool(found[but_erased][0])


def _write(
    deal: Deal, *, removed: Collection[int] = (), added: Collection[int] = ()
) -> None:
    """Remove and add these people, and record it in the history. The deal has to be locked; it counts as changed."""
    links = DealPerson.objects.filter(deal=deal)
    gone = sorted(links.filter(lead__in=removed).values_list("lead", flat=True))
    links.filter(lead__in=gone).delete()
    had = set(links.values_list("lead", flat=True))
    new = [pk for pk in dict.fromkeys(added) if pk not in had]
    if len(had) + len(new) > PEOPLE_AT_MOST:
        raise PeopleRefused(TOO_MANY)
    DealPerson.objects.bulk_create(
        DealPerson(company_id=deal.company_id, deal=deal, lead_id=pk, added_by=_actor())
        for pk in new
    )
    for pk in (*gone, *new):
        record_person(
            deal_id=deal.pk, lead_id=pk, company_id=deal.company_id, is_added=pk in new
        )
    if gone or new:
        # No event depends on it.
        Deal.objects.filter(pk=deal.pk).update(updated_at=Now())


def _actor() -> User | None:
    return actor if isinstance(actor := current_actor(), User) else None
