"""Deals, as an import adds, fills and removes them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone

from crm.data_exchange.importing.cells import Reader
from crm.data_exchange.importing.column_readings import first_column, readings_of
from crm.data_exchange.importing.custom_columns import value_of
from crm.data_exchange.importing.objects.deal_cells import (
    DEAL_FIELDS,
    FILLABLE,
    TYPED,
    as_of_deal,
    problem_of_deal,
    readers_of_deals,
    stage_of,
)
from crm.data_exchange.importing.objects.deal_matching import (
    deal_key,
    existing_deals,
)
from crm.data_exchange.importing.objects.definition import (
    LATER,
    TOO_OLD,
    ImportedObject,
    Lack,
    Values,
)
from crm.data_exchange.importing.objects.filling import fill_records
from crm.data_exchange.importing.objects.lead_references import (
    LEAD_NAMES,
    LEAD_REFERENCES,
    find_leads,
    names_a_lead,
)
from crm.data_exchange.importing.objects.new_deals import (
    ADDED,
    add_deals,
    event_times,
)
from crm.data_exchange.importing.putting_back import lock_records, put_back
from crm.data_exchange.importing.rows import JudgedRow
from crm.data_exchange.importing.tagging import TAGS, new_tags_of, tag_rows
from crm.data_exchange.importing.value_lists import (
    colleagues,
    lost_reasons,
    pipelines,
    stages,
    tags,
)
from crm.lists.columns import CUSTOM
from crm.models import (
    Attachment,
    Change,
    CrmEvent,
    CrmEventKind,
    Deal,
    DealPerson,
    FieldSubject,
    ImportSubject,
    Lead,
    LeadImport,
    LeadImportRow,
    Note,
    Otherwise,
    RowProblem,
    StageMeaning,
    Task,
)
from crm.models.tracking.recorder import take_back_with_counts

NO_TITLE: Final = "Choose the column that has the name of the deal."
NO_LEAD: Final = "Choose a column that says whose deal it is: the lead's number, e-mail address or name."
# What people do on a deal.
WORK: Final[tuple[Any, ...]] = (Change, Task, Note, Attachment, DealPerson)


class ImportedDeals(ImportedObject):
    subject = ImportSubject.DEAL
    model = Deal
    noun = "deal"
    plural = "deals"
    matched_by = "Deals are matched by their number, or by lead and title."
    work = "a task, note or file"
    list_url = "deal_list"
    record_column = "record_id"
    fields = DEAL_FIELDS
    names = LEAD_NAMES
    address_field = "lead_email"
    proof = frozenset({"deal_title"})
    distinct = frozenset(
        {"deal_title", "deal_number", "outcome_note", *LEAD_REFERENCES}
    )
    custom_subject = FieldSubject.DEAL
    lists: ClassVar = {
        "pipeline": pipelines,
        "stage": stages,
        "owner": colleagues,
        "lost_reason": lost_reasons,
        "tags": tags,
    }
    typed = TYPED
    kinds = (
        CrmEventKind.DEAL_CREATED,
        CrmEventKind.DEAL_WON,
        CrmEventKind.DEAL_LOST,
    )

    def problem_of_columns(self, chosen: Collection[str]) -> str:
        if "deal_title" not in chosen:
            return NO_TITLE
        own = {"lead_number", "lead_email", *LEAD_NAMES}
        return "" if own & set(chosen) else NO_LEAD

    def readers(self) -> dict[str, Reader]:
        return readers_of_deals()

    def problem_of(self, name: str, value: Any) -> str:
        return problem_of_deal(name, value)

    def checked(self, values: dict[str, Any]) -> tuple[dict[str, Any], Lack | None]:
        if not names_a_lead(values):
            return values, Lack(RowProblem.LEAD_UNKNOWN, [*LEAD_REFERENCES])
        return values, self.lacks(values)

    def lacks(self, values: Values) -> Lack | None:
        if "title" in values:
            return None
        return Lack(RowProblem.TITLE_MISSING, ["deal_title"])

    def key(self, values: Values, unread_address: str) -> str:
        """Known once the lead is."""
        return ""

    def resolve(
        self, lead_import: LeadImport, rows: Sequence[JudgedRow], *, locks: bool
    ) -> None:
        good = [row for row in rows if not row.is_bad]
        zone = ZoneInfo(lead_import.company.time_zone)
        for row, lead in find_leads(lead_import, good, locks=locks):
            if isinstance(lead, RowProblem):
                row.refuse(lead, first_column(lead_import, LEAD_REFERENCES))
                continue
            row.lead_id = lead.pk
            row.values |= {"lead": lead, "zone": zone}
            row.key = deal_key(row.values)
            _choose_stage(lead_import, row)

    def existing(
        self, lead_import: LeadImport, wanted: Mapping[str, Values], *, locks: bool
    ) -> dict[str, Any]:
        return {**existing_deals(lead_import, wanted, locks=locks)}

    def news(self, record: Any, values: Values) -> dict[str, Any]:
        """Empty fields are filled, and tags added. An amount in another currency than the deal's is left out."""
        news = {
            name: as_of_deal(name, value)
            for name, value in values.items()
            if value is not None and _is_empty(record, name)
        }
        if values.get("currency", record.currency) != record.currency:
            news.pop("amount", None)
        is_lost = record.stage.meaning == StageMeaning.LOST
        if is_lost and record.lost_reason_id is None and "lost_reason" in values:
            news["lost_reason_id"] = values["lost_reason"].pk
        if added := new_tags_of(record, values.get(TAGS, ())):
            news[TAGS] = added
        return news

    def as_stored(self, value: Any) -> Any:
        if isinstance(value, Decimal):
            return f"{value:.2f}"
        return value.isoformat() if isinstance(value, date) else value

    def events(self, row: JudgedRow) -> Iterable[str]:
        lead: Lead = row.values["lead"]
        if not lead.share_with_ad_platforms:
            return
        oldest = timezone.now() - timedelta(days=settings.EVENT_MAX_AGE_DAYS)
        for kind, happened in event_times(row.values).items():
            if happened and happened <= oldest:
                yield kind + TOO_OLD
            else:
                yield kind + ("" if lead.email else LATER)

    def add(self, lead_import: LeadImport, rows: Sequence[JudgedRow]) -> None:
        if not rows:
            return
        add_deals(lead_import, rows)
        tag_rows(lead_import, Deal, self.record_column, rows)

    def fill(self, lead_import: LeadImport, rows: Sequence[JudgedRow]) -> None:
        fill_records(lead_import, self, rows)

    def locked(self, pks: Sequence[int]) -> dict[int, Any]:
        """Leads are locked first, as every change of a deal does."""
        list(
            Lead.objects.select_for_update(no_key=True)
            .filter(deals__in=pks)
            .order_by("pk")
            .values_list("pk")
        )
        return lock_records(Deal, pks, WORK)

    def is_untouched(self, row: LeadImportRow, record: Any) -> bool:
        is_as_added = record.updated_at.isoformat() == row.filled.get(ADDED)
        return is_as_added and not record.is_touched

    def remove(self, lead_import: LeadImport, pks: Sequence[int]) -> int:
        """Also takes back events that are only in the history: the lead's page would still show them."""
        events = CrmEvent.objects.for_company(lead_import.company_id).filter(
            deal__in=pks, taken_back_at=None
        )
        sent = take_back_with_counts(events, sender=Deal)
        Deal.objects.for_company(lead_import.company_id).filter(pk__in=pks).delete()
        return sum(each.conversions for each in sent)

    def empty(self, rows: Sequence[LeadImportRow], records: Mapping[int, Any]) -> None:
        deals = [(row, records.get(row.record_id or 0)) for row in rows]
        put_back(
            Deal, [pair for pair in deals if pair[1]], _value_before, self.as_stored
        )


def _is_empty(deal: Deal, name: str) -> bool:
    """True if this is a field that an import fills, and the deal has no value in it."""
    is_fillable = name in FILLABLE or name.startswith(CUSTOM)
    return is_fillable and value_of(deal, name) in (None, "")


def _choose_stage(lead_import: LeadImport, row: JudgedRow) -> None:
    """Set the row's stage. A name that its pipeline doesn't have is a cell that can't be read."""
    row.values["stage"] = stage_of(row.values)
    if row.values["stage"] or "stages" not in row.values:
        return
    index = first_column(lead_import, ["stage"])
    assert index is not None
    if readings_of(lead_import)[index].otherwise == Otherwise.ROW:
        row.refuse(RowProblem.STAGE_UNKNOWN, index)
    else:
        problem = {str(index): str(RowProblem.STAGE_UNKNOWN)}
        row.cell_problems = {**(row.cell_problems or {}), **problem}


def _value_before(name: str) -> Any:
    """The value of this field before the import filled it."""
    return "" if name == "outcome_note" else None


DEALS: Final = ImportedDeals()
