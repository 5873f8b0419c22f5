"""Erasing a person: their lead stays as a tombstone with nothing personal in it.

The row is not deleted because its deals and the events reported for them refer to it: the company's figures stay right,
a rule that counts each lead once stays right, and the receipt has a lead to name. A database constraint stops anything
personal being written to it again.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import models, transaction
from django.db.models import Q, Value
from django.db.models.functions import Cast, Coalesce, Concat, Now

from crm.intake.forgetting import PayloadSearch, forget_payloads
from crm.models import (
    ApiKey,
    Attachment,
    AuditAction,
    AuditEntry,
    BulkSelection,
    Company,
    CustomField,
    Deal,
    DealExternalId,
    DealPerson,
    FieldSubject,
    Lead,
    LeadDuplicate,
    LeadExternalId,
    LeadMerge,
    LeadSearch,
    LeadTag,
    Note,
    Task,
    TaskReminder,
    TypedForm,
    User,
)
from crm.models.custom_field import FREE_TEXT
from crm.models.custom_lookups import with_keys_set
from crm.models.lead import PERSONAL, DealReassigned, LeadMerged, PersonErased
from crm.models.privacy_log import PrivacyChange, log_privacy_change
from crm.models.tracking.tracked import DeletedMeanwhile
from crm.services import audit, data_exports
from crm.services.deadlocks import tried_again
from crm.services.lead_imports import forget_person
from crm.services.organisation_details import forget_details, keys_of
from crm.services.saved_views import forget_source
from crm.signals import lead_erased


def erase_lead(*, lead: Lead, user: User | None = None) -> AuditEntry | None:
    """Erase the person behind a lead, as `erase_leads` does. Returns the receipt, or None if they had been erased."""
    return next(iter(erase_leads(leads=[lead], actor=user)), None)


@tried_again
def erase_leads(
    *, leads: Sequence[Lead], actor: User | ApiKey | None = None
) -> list[AuditEntry]:
    """Erase the people behind these leads of one company, who may be the same person. Returns a receipt for each lead
    that had not been erased before.

    Raises LeadMerged if one has been merged into another lead, which has most of the person's data. Nothing is erased
    then.

    Runs in one transaction. When this returns, no request to an ad platform contains the person, nor will any later
    one: it waits for a request in flight, for slightly more than SEND_TIMEOUT_SECONDS at most. It can't be part of a
    larger transaction, because the wait would have to last until that one ends.
    """
    company_id = leads[0].company_id
    payloads = PayloadSearch.of([*Lead.objects.of_people(leads)])
    with transaction.atomic(durable=True):
        # No export that has read the person is stored after this.
        Company.objects.hold(company_id)
        people = _locked(leads)
        if not people:
            return []
        everyone = list(chain.from_iterable(people.values()))
        pks = [each.pk for each in everyone]
        # Their deals too, before the receivers lock rows of their own, as every change of a deal does.
        deals = Deal.objects.filter(lead__in=pks).order_by("pk").values_list("pk")
        list(deals.select_for_update(no_key=True))
        logged = [(each.pk, each.created_at) for each in everyone]
        log_privacy_change(PrivacyChange.ERASED, company_id=company_id, rows=logged)
        lead_erased.send(sender=Lead, company_id=company_id, lead_ids=pks)
        data_exports.drop_files(company_id)
        BulkSelection.objects.for_company(company_id).forget(pks)
        organisations = keys_of(pks)
        deals_of = {
            asked: [pk for each in person for pk in _erase(each, payloads)]
            for asked, person in people.items()
        }
        forget_details(company_id=company_id, keys=organisations)
        LeadDuplicate.objects.of(pks).delete()
        merges = LeadMerge.objects.for_company(company_id)
        merges.filter(Q(kept__in=pks) | Q(gone__in=pks)).delete()
        # They may contain the person's name or address.
        for typed in (LeadSearch.objects, TypedForm.objects):
            typed.for_company(company_id).delete()
        return [_receipt(asked, deals, actor) for asked, deals in deals_of.items()]


def _receipt(lead: Lead, deals: list[int], actor: User | ApiKey | None) -> AuditEntry:
    return audit.record(
        company=lead.company_id,
        action=AuditAction.ERASURE,
        about=lead,
        details={"deals": deals},
        actor=actor,
    )


def _locked(asked: Sequence[Lead]) -> dict[Lead, list[Lead]]:
    """The leads of each person, locked: the one that is asked for and those merged into it, without erased ones.

    The lock comes first, as in every change of a lead: changes run one after the other. Raises LeadMerged.
    """
    people = Lead.objects.of_people(asked).filter(erased_at=None)
    people = people.select_for_update(no_key=True)
    list(people)
    # Read again, with any merged into them while this waited. No more can be now.
    found = {each.pk: each for each in people.all()}
    own = [found[lead.pk] for lead in asked if lead.pk in found]
    if any(not each.is_current for each in own):
        raise LeadMerged
    return {
        lead: [each for each in found.values() if _is_of(each, lead)] for lead in own
    }


def _is_of(lead: Lead, kept: Lead) -> bool:
    return kept.pk in (lead.pk, lead.merged_into_id)


def _erase(lead: Lead, payloads: PayloadSearch) -> list[int]:
    """Erase the data of one lead. Returns the ids of its deals."""
    forget_person(lead)
    forget_payloads(lead, payloads)
    deals = _clear_deals(lead)
    _clear_tasks(lead)
    for contributions in (Note.objects, Attachment.objects):
        rows = contributions.for_company(lead.company_id)
        rows.filter(Q(lead=lead) | Q(deal__in=deals)).delete()
    forget_source(lead)
    for links in (LeadTag.objects, DealPerson.objects, LeadExternalId.objects):
        links.for_company(lead.company_id).filter(lead=lead).delete()
    DealExternalId.objects.for_company(lead.company_id).filter(deal__in=deals).delete()
    Lead.objects.filter(pk=lead.pk).update(
        erased_at=Now(),
        updated_at=Now(),
        share_with_ad_platforms=False,
        custom={},
        **dict.fromkeys(PERSONAL, ""),
    )
    _forget_in_admin_log(lead, deals)
    return deals


@contextmanager
def locking_person(lead_id: int) -> Iterator[None]:
    """Lock the lead: the person can't be erased while it is written. Raises PersonErased or LeadMerged."""
    with transaction.atomic():
        leads = Lead.objects.filter(pk=lead_id, erased_at=None)
        lead = leads.select_for_update(no_key=True).first()
        if lead is None:
            raise PersonErased
        if lead.merged_into_id is not None:
            raise LeadMerged
        yield


@contextmanager
def locking_subject(*, lead_id: int | None, deal_id: int | None) -> Iterator[None]:
    """Lock what a text is about, a lead or a deal and its lead: it can't be erased or deleted meanwhile.

    Raises PersonErased, DealReassigned, and DeletedMeanwhile if the deal has been deleted.
    """
    with ExitStack() as stack:
        stack.enter_context(transaction.atomic())
        if lead_id is not None:
            # The lead first, as an erasure does.
            stack.enter_context(locking_person(lead_id))
        if deal_id is not None:
            lock_deal(deal_id, lead_id=lead_id)
        yield


def lock_deal(deal_id: int, *, lead_id: int | None) -> None:
    """Lock the deal of this lead. Raises DeletedMeanwhile, and DealReassigned if it now belongs to another lead."""
    deals = Deal.objects.select_for_update(no_key=True).filter(pk=deal_id)
    now = deals.values_list("lead", flat=True).first()
    if now is None:
        raise DeletedMeanwhile
    if now != lead_id:
        raise DealReassigned


def _clear_deals(lead: Lead) -> list[int]:
    """Give the lead's deals neutral titles, and clear their custom texts and outcome notes. Returns their ids."""
    deals = Deal.objects.filter(lead=lead)
    texts = CustomField.objects.of(lead.company_id, FieldSubject.DEAL).filter(
        type__in=FREE_TEXT
    )
    custom = with_keys_set(dict.fromkeys(texts.values_list("key", flat=True)))
    title = Concat(Value("Deal "), Cast("pk", models.CharField()))
    deals.update(
        title=title,
        custom=custom,
        outcome_note="",
        former_outcome_note="",
        updated_at=Now(),
    )
    return list(deals.order_by("pk").values_list("pk", flat=True))


def _clear_tasks(lead: Lead) -> None:
    """Give the tasks about the lead and its deals neutral titles, and finish them: there is no one left to call."""
    about = Task.objects.for_company(lead.company_id).about(lead)
    tasks = Task.objects.for_company(
        lead.company_id, keys=list(about.order_by().values_list("pk", flat=True))
    )
    TaskReminder.objects.filter(task__in=tasks.values("pk")).delete()
    title = Concat(Value("Task "), Cast("pk", models.CharField()))
    tasks.update(
        title=title,
        done_at=Coalesce("done_at", Now()),
        reminder=False,
        updated_at=Now(),
    )


def _forget_in_admin_log(lead: Lead, deals: list[int]) -> None:
    """Remove the names from these rows' entries in the log of Django's admin."""
    for model, pks in ((Lead, [lead.pk]), (Deal, deals)):
        kind = ContentType.objects.get_for_model(model)
        entries = LogEntry.objects.filter(
            content_type=kind, object_id__in=[str(pk) for pk in pks]
        )
        entries.update(object_repr=model._meta.verbose_name, change_message="")
