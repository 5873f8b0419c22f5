"""Merging two leads that are one person: docs/decisions/merging-leads.md has the reasons."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Now

from crm.models import (
    AuditAction,
    CustomField,
    Deal,
    DealPerson,
    FieldSubject,
    Lead,
    LeadDuplicate,
    LeadMerge,
    LeadTag,
    Task,
    User,
)
from crm.models.lead_merge import FOLLOWING
from crm.models.merge_fields import (
    CHOSEN,
    CUSTOM,
    KNOWN_BY,
    NOTES,
    SHARING,
    as_columns,
    result_of,
    value_of,
)
from crm.models.privacy_log import PrivacyChange, log_privacy_change
from crm.models.tracking.origin import current_actor
from crm.models.tracking.recorder import record_merge
from crm.services import audit
from crm.services.deadlocks import tried_again
from crm.services.editing import ChangedMeanwhile, version_of
from crm.signals import leads_merged

ITSELF: Final = "Choose two different leads: one can't be merged with itself."
DELETED: Final = "Nothing was changed: one of the two leads has been deleted since."
ERASED: Final = "Nothing was merged: one of the two people was erased, and nothing is left of them to merge."
MERGED: Final = "Nothing was merged: {gone} has already been merged into {kept}."
NAMELESS: Final = (
    "Nothing was merged: the lead would have no name. Choose the other one."
)
UNKNOWN: Final = "Nothing was merged: the lead would have neither a name nor an e-mail address. Choose one of them."
LONG_NOTES: Final = "Nothing was merged: together, the two backgrounds are too long. Shorten one of them first."
LONGEST_NOTES: Final = Lead._meta.get_field(NOTES).max_length or 0


class MergeRefused(Exception):
    """Why two leads can't be merged, or a merge can't be undone, in a sentence. Nothing was changed."""


def version_of_both(kept: Lead, gone: Lead) -> str:
    """A string that changes with every change of one of the leads."""
    return f"{version_of(kept)}.{version_of(gone)}"


@tried_again
@transaction.atomic
def merge_leads(
    *, kept: Lead, gone: Lead, taken: Collection[str] = (), version: str = ""
) -> LeadMerge:
    """Merge one lead into another of the company, which gets the `taken` fields of the first.

    Raises ChangedMeanwhile if the version differs; "" matches any. Raises MergeRefused.
    """
    if kept.pk == gone.pk:
        raise MergeRefused(ITSELF)
    kept, gone = locked_leads(kept, gone)
    refuse_what_is_no_more(kept, gone)
    if version and version != version_of_both(kept, gone):
        raise ChangedMeanwhile
    written = _written(kept, gone, taken)
    actor = current_actor()
    merge = LeadMerge(
        company_id=kept.company_id,
        kept=kept,
        gone=gone,
        merged_by=actor if isinstance(actor, User) else None,
        before={column: value_of(kept, column) for column in written},
        written=written,
        dropped_tags=_drop_common_tags(kept, gone),
        dropped_people=_drop_common_people(kept, gone),
    )
    merge.moved = {
        model._meta.label: move(model, column, gone, kept)
        for model, column in FOLLOWING
    }
    Lead.objects.filter(pk=kept.pk).update_without_events(
        **as_columns(kept, written), updated_at=Now()
    )
    Lead.objects.filter(pk=gone.pk).update(merged_into=kept, updated_at=Now())
    if not written[SHARING]:  # an opt-out is the person's, whichever of the two has it
        people = [(lead.pk, lead.created_at) for lead in (kept, gone)]
        log_privacy_change(
            PrivacyChange.OPTED_OUT, company_id=kept.company_id, rows=people
        )
    merge.ended = _ended_by(merge, kept, gone)
    merge.save()
    LeadDuplicate.objects.open().of([gone.pk]).delete()
    record(merge, AuditAction.LEADS_MERGED, of_leads=[kept.pk])
    return merge


def _ended_by(merge: LeadMerge, kept: Lead, gone: Lead) -> list[Any]:
    """Send the signal. Returns what its receivers ended. The leads are as they were read, before the merge."""
    without_address = [lead.pk for lead in (kept, gone) if not lead.email]
    answers = leads_merged.send(
        sender=Lead, merge=merge, without_address=without_address
    )
    return [each for _, ended in answers for each in ended or ()]


def locked_leads(kept: Lead, gone: Lead) -> tuple[Lead, Lead]:
    """Both leads, locked with those merged into them, in the common lock order.

    Raises MergeRefused if one of the two has been deleted.
    """
    pks = [kept.pk, gone.pk]
    is_one = Q(pk__in=pks) | Q(merged_into__in=pks)
    rows = Lead.objects.for_company(kept.company_id).filter(is_one).order_by("pk")
    locked = {lead.pk: lead for lead in rows.select_for_update(no_key=True)}
    if not locked.keys() >= set(pks):
        raise MergeRefused(DELETED)
    return locked[kept.pk], locked[gone.pk]


def refuse_what_is_no_more(kept: Lead, gone: Lead) -> None:
    """Raise MergeRefused if one of the leads was erased, or has been merged into another one."""
    if kept.erased_at or gone.erased_at:
        raise MergeRefused(ERASED)
    for lead in (gone, kept):
        if lead.merged_into is not None:
            raise MergeRefused(MERGED.format(gone=lead, kept=lead.merged_into))


def _written(kept: Lead, gone: Lead, taken: Collection[str]) -> dict[str, object]:
    written = result_of(kept, gone, taken=_known(kept, taken))
    name = [written.get(column, getattr(kept, column)) for column in CHOSEN["name"]]
    if _named(kept) and not any(name):
        raise MergeRefused(NAMELESS)
    known = [written.get(column, getattr(kept, column)) for column in KNOWN_BY]
    if (_named(gone) or kept.email) and not any(known):
        raise MergeRefused(UNKNOWN)
    if len(str(written.get(NOTES, ""))) > LONGEST_NOTES:
        raise MergeRefused(LONG_NOTES)
    return written


def _named(lead: Lead) -> bool:
    return any(getattr(lead, column) for column in CHOSEN["name"])


def _known(lead: Lead, taken: Collection[str]) -> list[str]:
    """The names in `taken` that are still fields: a custom field may have been deleted while the page was open."""
    fields = CustomField.objects.of(lead.company_id, FieldSubject.LEAD).in_use()
    custom = {f"{CUSTOM}{key}" for key in fields.values_list("key", flat=True)}
    return [field for field in taken if field in CHOSEN or field in custom]


def _drop_common_tags(kept: Lead, gone: Lead) -> list[int]:
    """Remove from `gone` the tags that `kept` has too. Returns their keys."""
    common = LeadTag.objects.filter(
        lead=gone, tag__in=LeadTag.objects.filter(lead=kept).values("tag")
    )
    dropped = list(common.values_list("tag", flat=True))
    LeadTag.objects.filter(lead=gone, tag__in=dropped).delete()
    return dropped


def _drop_common_people(kept: Lead, gone: Lead) -> list[tuple[int, int, int | None]]:
    """Remove a place on a deal if the other lead has one there too, or if one of the two is the deal's lead.

    Returns the deal, the lead and who had added it, for each place.
    """
    links = DealPerson.objects.for_company(kept.company_id)
    is_lead_of = Deal.objects.filter(lead__in=[kept, gone]).values("pk")
    of_both = links.filter(lead=kept).values("deal")
    is_one_too_many = Q(lead__in=[kept, gone], deal__in=is_lead_of) | Q(
        lead=gone, deal__in=of_both
    )
    rows = (
        links.filter(is_one_too_many)
        .order_by("pk")
        .values_list("pk", "deal_id", "lead_id", "added_by_id")
    )
    dropped = {pk: (deal, lead, added_by) for pk, deal, lead, added_by in rows}
    links.filter(pk__in=list(dropped)).delete()
    return list(dropped.values())


def move(
    model: type[Model],
    column: str,
    gone: Lead,
    kept: Lead,
    pks: Sequence[int] | None = None,
) -> list[int]:
    """Move the rows of `gone`, or only those with these keys, to `kept`. Returns the keys of the moved rows."""
    rows: QuerySet[Model] = model._default_manager.filter(**{column: gone.pk})
    if pks is not None:
        rows = rows.filter(pk__in=pks)
    if model is Deal:
        rows = rows.select_for_update(no_key=True)
    moved = list(rows.order_by("pk").values_list("pk", flat=True))
    # Programs that keep a copy read again what has changed.
    touched = {"updated_at": Now()} if model in (Deal, Task) else {}
    model._default_manager.filter(pk__in=moved).update(**{column: kept.pk}, **touched)
    return moved


def record(merge: LeadMerge, action: AuditAction, *, of_leads: Collection[int]) -> None:
    """Write a merge, or its undo, into the history of these leads and into the audit log."""
    is_undo = action == AuditAction.MERGE_UNDONE
    record_merge(
        kept_id=merge.kept_id,
        gone_id=merge.gone_id,
        company_id=merge.company_id,
        of_leads=of_leads,
        is_undo=is_undo,
    )
    audit.record(
        company=merge.company_id,
        action=action,
        about=merge.kept,
        details={"merged": merge.gone_id},
    )
