"""Undoing a merge of leads: each row and value goes back unless it has been changed since."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from crm.models import (
    Attachment,
    AuditAction,
    ChangedField,
    CrmEvent,
    CustomField,
    Deal,
    DealPerson,
    FieldSubject,
    Lead,
    LeadMerge,
    LeadStatus,
    LeadTag,
    LeadType,
    Note,
    Tag,
    Task,
    User,
)
from crm.models.lead_merge import FOLLOWING, UNDO_FOR
from crm.models.merge_fields import (
    CUSTOM,
    KNOWN_BY,
    SHARING,
    as_columns,
    field_of,
    labels_of,
    value_of,
)
from crm.models.privacy_log import PrivacyChange, log_privacy_change
from crm.services.deadlocks import tried_again
from crm.services.lead_merges import MergeRefused, locked_leads, move, record
from crm.signals import merge_undone

UNDONE_BEFORE: Final = (
    "There is nothing to undo: this merge has been undone, or is more than a day old."
)
ERASED: Final = "Not undone: the person was erased, and nothing about them is restored."
MERGED_SINCE: Final = (
    "Not undone: {gone} has been merged into {kept} since. Undo that first."
)
# Goes back with the deals that it is about.
HISTORY: Final = (CrmEvent, Note, Attachment)
NAMED: Final = {Deal: "deal", Task: "task", LeadTag: "tag", DealPerson: "shared deal"}


@dataclass(slots=True)
class SeparatedLeads:
    """The two leads after an undo, and what stays as it is because it has been changed since, in words.

    `opted_out_since`: the person has opted out since the merge, and so neither lead is shared.
    """

    kept: Lead
    gone: Lead
    opted_out_since: bool
    changed_since: list[str] = field(default_factory=list)


@tried_again
@transaction.atomic
def undo_merge(*, merge: LeadMerge) -> SeparatedLeads:
    """Make the merged lead a separate one again, with what it had. Raises MergeRefused."""
    kept, gone = locked_leads(merge.kept, merge.gone)
    undoable = LeadMerge.objects.filter(pk=merge.pk, merged_at__gt=Now() - UNDO_FOR)
    _refuse(kept, gone, undoable.select_for_update().first())
    sharing_changed = _has_sharing_changed_since(merge, kept)
    opted_out_since = sharing_changed and not kept.share_with_ad_platforms
    result = SeparatedLeads(kept, gone, opted_out_since)
    _put_values_back(merge, result, but=[SHARING] if opted_out_since else [])
    _move_back(merge, result)
    sharing = {SHARING: False} if opted_out_since else {}
    Lead.objects.filter(pk=gone.pk).update(
        merged_into=None, updated_at=Now(), **sharing
    )
    record(merge, AuditAction.MERGE_UNDONE, of_leads=[kept.pk, gone.pk])
    for contributions in (Note, Attachment):
        _history_back(contributions, merge, kept, gone)
    # Those added since, too.
    Attachment.objects.filter(note__lead=gone).update(lead=gone)
    crm_events = _history_back(CrmEvent, merge, kept, gone)
    merge_undone.send(
        sender=Lead, merge=merge, crm_events=crm_events, sharing_changed=sharing_changed
    )
    if opted_out_since:
        _tell_earlier_merges(gone)
    LeadMerge.objects.filter(pk=merge.pk).delete()  # `merge` keeps its key, for a retry
    for lead in (kept, gone):
        lead.refresh_from_db()
        # An opt-out of the other one was theirs, too, while they were one.
        if lead.share_with_ad_platforms:
            log_privacy_change(
                PrivacyChange.OPTED_IN,
                company_id=lead.company_id,
                rows=[(lead.pk, lead.created_at)],
            )
    return result


def _refuse(kept: Lead, gone: Lead, merge: LeadMerge | None) -> None:
    if kept.erased_at or gone.erased_at:
        raise MergeRefused(ERASED)
    if kept.merged_into is not None:
        raise MergeRefused(MERGED_SINCE.format(gone=kept, kept=kept.merged_into))
    if merge is None or gone.merged_into_id != kept.pk:
        raise MergeRefused(UNDONE_BEFORE)
    # Each merge has stored the values and the open events that the previous one left.
    since = LeadMerge.objects.filter(kept=kept, pk__gt=merge.pk)
    if later := since.select_related("gone").first():
        raise MergeRefused(MERGED_SINCE.format(gone=later.gone, kept=kept))


def _put_values_back(
    merge: LeadMerge, result: SeparatedLeads, *, but: Collection[str]
) -> None:
    kept = result.kept
    fields = CustomField.objects.of(kept.company_id, FieldSubject.LEAD).not_removed()
    names = dict(fields.values_list("key", "name"))
    back = _values_back(merge, kept, names, but)
    left = [
        column
        for column, value in merge.before.items()
        if column not in back and value_of(kept, column) != value
    ]
    result.changed_since += labels_of(left, names)
    Lead.objects.filter(pk=kept.pk).update_without_events(
        **as_columns(kept, back), updated_at=Now()
    )


def _values_back(
    merge: LeadMerge, kept: Lead, custom_names: dict[str, str], but: Collection[str]
) -> dict[str, Any]:
    """The values that go back: those of fields that are unchanged since, unless the lead would lose its name."""
    changed = {
        field_of(column)
        for column in merge.before
        if value_of(kept, column) != merge.written[column]
    }
    back = {}
    for column, value in merge.before.items():
        if column in but or field_of(column) in changed:
            continue
        if _still_exists(kept, column, value, custom_names):
            back[column] = value
    if not any(back.get(column, getattr(kept, column)) for column in KNOWN_BY):
        for column in KNOWN_BY:
            back.pop(column, None)
    return back


def _still_exists(
    lead: Lead, column: str, value: Any, custom_names: dict[str, str]
) -> bool:
    """False for a status, type or person, or for a custom field, that has been deleted since."""
    if column.startswith(CUSTOM):
        return column.removeprefix(CUSTOM) in custom_names
    if column == "type":
        return LeadType.objects.for_company(lead.company_id).filter(code=value).exists()
    model = {"status_id": LeadStatus, "owner_id": User}.get(column)
    if model is None or value is None:
        return True
    return model._default_manager.filter(pk=value).exists()


def _has_sharing_changed_since(merge: LeadMerge, kept: Lead) -> bool:
    """True if the person opted out, or in, while the leads were one: an opt-out holds for both."""
    if kept.share_with_ad_platforms != merge.written[SHARING]:
        return True
    merges = kept.changes.filter(field=ChangedField.MERGE, old=str(merge.gone_id))
    switches = kept.changes.filter(field=ChangedField.SHARING)
    # By key: the merge recorded its own change of the sharing before the change that records the merge.
    if of_merge := merges.order_by("pk").last():
        switches = switches.filter(pk__gt=of_merge.pk)
    return switches.exists()


def _tell_earlier_merges(lead: Lead) -> None:
    """Let undoing any merge into this lead see that the person has opted out since.

    The opt-out is in the history of the other lead, and this one may not have been shared before.
    """
    for merge in LeadMerge.objects.filter(kept=lead):
        merge.written[SHARING] = True
        merge.save(update_fields=["written"])


def _move_back(merge: LeadMerge, result: SeparatedLeads) -> None:
    for model, column in FOLLOWING:
        if model in HISTORY:
            continue
        pks = merge.moved_keys(model)
        left = len(pks) - len(move(model, column, result.kept, result.gone, pks))
        if left and model in NAMED:
            plural = "" if left == 1 else "s"
            result.changed_since.append(f"{left} {NAMED[model]}{plural}")
    tags = Tag.objects.for_company(merge.company_id).filter(pk__in=merge.dropped_tags)
    links = [
        LeadTag(company_id=merge.company_id, lead=result.gone, tag=tag) for tag in tags
    ]
    LeadTag.objects.bulk_create(links, ignore_conflicts=True)
    _places_back(merge)


def _places_back(merge: LeadMerge) -> None:
    """Restore the places on deals that the merge removed, unless the person is the deal's lead by now."""
    places = {deal: (lead, added_by) for deal, lead, added_by in merge.dropped_people}
    deals = Deal.objects.for_company(merge.company_id).filter(pk__in=places)
    leads = dict(deals.values_list("pk", "lead"))
    people = User.objects.in_bulk([by for _, by in places.values()])
    links = [
        DealPerson(
            company_id=merge.company_id,
            deal_id=deal,
            lead_id=lead,
            added_by=people.get(by),
        )
        for deal, (lead, by) in places.items()
        if leads.get(deal) not in (None, lead)
    ]
    DealPerson.objects.bulk_create(links, ignore_conflicts=True)


def _history_back(
    model: type[CrmEvent] | type[Note] | type[Attachment],
    merge: LeadMerge,
    kept: Lead,
    gone: Lead,
) -> list[int]:
    """Give this part of the history back to the separated lead, with what its deals got since. Returns the keys."""
    deals = Deal.objects.filter(lead=gone, pk__in=merge.moved_keys(Deal))
    goes_back = Q(pk__in=merge.moved_keys(model)) | Q(deal__in=deals.values("pk"))
    rows: QuerySet[Any] = model._default_manager.filter(goes_back, lead=kept)
    pks = list(rows.values_list("pk", flat=True))
    model._default_manager.filter(pk__in=pks).update(lead=gone)
    return pks
