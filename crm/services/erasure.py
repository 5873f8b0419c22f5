"""Erasing a person: their row stays as a tombstone without anything of them.

It is kept, and not deleted, because deals and what was reported of them hang on it: the company's figures stay right, a
rule that counts each lead once stays right, and the receipt has something to name. The database itself refuses to
write anything personal into it again.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import models, transaction
from django.db.models import Value
from django.db.models.functions import Cast, Concat, Now

from crm.models import AuditAction, AuditEntry, Deal, Lead, LeadSearch, User
from crm.models.lead import PERSONAL, PersonErased
from crm.services import audit
from crm.signals import lead_erased


def erase_lead(*, lead: Lead, user: User | None = None) -> AuditEntry | None:
    """Erase the person behind a lead. Returns the receipt; None where they were erased before, and nothing is done.

    All of it is one transaction. When the call returns, no request to an ad platform holds the person any more, and
    none that begins later will: for that it waits for one that is under way, at most SEND_TIMEOUT_SECONDS and a
    little. It can't be part of a larger transaction, since nobody could wait for the end of that.
    """
    with transaction.atomic(durable=True):
        # The row is locked first, as with every change of a lead, so that two of them follow one another.
        found = Lead.objects.select_for_update(no_key=True).not_erased().filter(pk=lead.pk).first()
        if found is None:
            return None
        lead_erased.send(sender=Lead, company_id=found.company_id, lead_ids=[found.pk])
        deals = _clear_deals(found)
        Lead.objects.filter(pk=found.pk).update(
            erased_at=Now(), updated_at=Now(), share_with_ad_platforms=False, **dict.fromkeys(PERSONAL, "")
        )
        _forget_in_admin_log(found, deals)
        LeadSearch.objects.for_company(found.company_id).delete()  # one of them may be the name or the address
        return audit.record(
            company=found.company_id, action=AuditAction.ERASURE, about=found, details={"deals": deals}, actor=user
        )


@contextmanager
def person_kept(lead_id: int) -> Iterator[None]:
    """Hold the lead, so that nobody erases the person while something of them is written. Raises PersonErased."""
    with transaction.atomic():
        if not Lead.objects.select_for_update(no_key=True).not_erased().filter(pk=lead_id).first():
            raise PersonErased
        yield


def _clear_deals(lead: Lead) -> list[int]:
    """Give the lead's deals titles that tell nothing. Returns their ids."""
    deals = Deal.objects.filter(lead=lead)
    deals.update(title=Concat(Value("Deal "), Cast("pk", models.CharField())), updated_at=Now())
    return list(deals.order_by("pk").values_list("pk", flat=True))


def _forget_in_admin_log(lead: Lead, deals: list[int]) -> None:
    """Take the names out of what Django's admin wrote down about these rows."""
    for model, pks in ((Lead, [lead.pk]), (Deal, deals)):
        kind = ContentType.objects.get_for_model(model)
        entries = LogEntry.objects.filter(content_type=kind, object_id__in=[str(pk) for pk in pks])
        entries.update(object_repr=model._meta.verbose_name, change_message="")
