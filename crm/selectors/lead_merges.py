"""What a merge of two leads would do, for the page that asks, and the merge of a lead that can be undone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models.functions import Now

from crm.lists.custom_fields import as_text
from crm.models import (
    Attachment,
    CrmEvent,
    CustomField,
    Deal,
    FieldSubject,
    Lead,
    LeadMerge,
    LeadType,
    Note,
    Tag,
    Task,
)
from crm.models.lead_merge import UNDO_FOR
from crm.models.merge_fields import CHOSEN, CUSTOM, LABELS, differs, is_empty
from crm.selectors.custom_fields import fields_in_use
from crm.selectors.deal_people import further_deals_of

DEALS_NAMED: Final = 5


@dataclass(frozen=True)
class MergeField:
    """A field of both leads, as text. `takes_other`: the value of the lead that goes is preselected."""

    key: str
    label: str
    kept: str
    gone: str
    differs: bool
    takes_other: bool


@dataclass(frozen=True)
class MergePreview:
    """Two leads side by side, and what moves to the one that is kept."""

    kept: Lead
    gone: Lead
    fields: Sequence[MergeField]
    deals: Sequence[Deal]
    deal_count: int
    further_deals: Sequence[Deal]
    further_deal_count: int
    task_count: int
    note_count: int
    file_count: int
    event_count: int
    tags: Sequence[Tag]

    @property
    def choices(self) -> list[MergeField]:
        return [field for field in self.fields if field.differs]

    @property
    def same(self) -> list[MergeField]:
        """Fields that are equal, and not empty."""
        return [field for field in self.fields if not field.differs and field.kept]

    @property
    def opts_out(self) -> bool:
        """True if one of the two has opted out, which then holds for both."""
        return self.kept.share_with_ad_platforms != self.gone.share_with_ad_platforms

    @property
    def joins_notes(self) -> bool:
        return bool(
            self.kept.notes and self.gone.notes and self.kept.notes != self.gone.notes
        )


def preview_of(kept: Lead, gone: Lead) -> MergePreview:
    """The preview for two leads whose statuses and owners are loaded. Nine more queries."""
    custom = fields_in_use(kept.company, FieldSubject.LEAD)
    types = {
        each.code: str(each) for each in LeadType.objects.for_company(kept.company)
    }
    company = kept.company
    deals = list(
        Deal.objects.for_company(company)
        .filter(lead=gone)
        .select_related("stage")
        .order_by("-pk")
    )
    further_deals = list(further_deals_of(gone))
    return MergePreview(
        kept=kept,
        gone=gone,
        fields=[_field(kept, gone, key, types) for key in CHOSEN]
        + [_custom(kept, gone, each) for each in custom],
        deals=deals[:DEALS_NAMED],
        deal_count=len(deals),
        further_deals=further_deals[:DEALS_NAMED],
        further_deal_count=len(further_deals),
        task_count=Task.objects.for_company(company).filter(lead=gone).count(),
        note_count=Note.objects.for_company(company).filter(lead=gone).count(),
        file_count=Attachment.objects.for_company(company).filter(lead=gone).count(),
        event_count=CrmEvent.objects.for_company(company).filter(lead=gone).count(),
        tags=list(gone.tags.all()),
    )


def _field(kept: Lead, gone: Lead, key: str, types: dict[str, str]) -> MergeField:
    def text(lead: Lead) -> str:
        if key == "name":
            return f"{lead.first_name} {lead.last_name}".strip()
        value = getattr(lead, key)
        return types.get(value, value) if key == "type" else str(value or "")

    return _compared(kept, gone, key, LABELS[key], text(kept), text(gone))


def _custom(kept: Lead, gone: Lead, field: CustomField) -> MergeField:
    ours, theirs = (
        as_text(field, lead.custom.get(field.key), kept.company)
        for lead in (kept, gone)
    )
    return _compared(kept, gone, f"{CUSTOM}{field.key}", str(field), ours, theirs)


def _compared(
    kept: Lead, gone: Lead, key: str, label: str, ours: str, theirs: str
) -> MergeField:
    is_filled_by_other = is_empty(kept, key) and not is_empty(gone, key)
    return MergeField(
        key, label, ours, theirs, differs(kept, gone, key), is_filled_by_other
    )


def undoable_merge(lead: Lead) -> LeadMerge | None:
    """The newest merge into this lead, which can be undone. Earlier ones are offered after it, in turn."""
    recent = LeadMerge.objects.for_company(lead.company_id).filter(
        kept=lead, merged_at__gt=Now() - UNDO_FOR
    )
    return recent.select_related("gone", "merged_by").first()
