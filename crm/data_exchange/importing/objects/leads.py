"""Leads, as an import adds, fills and removes them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final

from crm.data_exchange.importing.cells import SHARED, Reader, readers_of_leads
from crm.data_exchange.importing.custom_columns import as_columns
from crm.data_exchange.importing.matching import existing_leads, news_for, person_key
from crm.data_exchange.importing.objects.definition import (
    LATER,
    ImportedObject,
    Lack,
    Values,
)
from crm.data_exchange.importing.objects.filling import fill_records
from crm.data_exchange.importing.objects.lead_fields import LEAD_FIELDS, NAMES
from crm.data_exchange.importing.objects.lead_presets import PRESETS
from crm.data_exchange.importing.putting_back import lock_records, put_back
from crm.data_exchange.importing.rows import JudgedRow
from crm.data_exchange.importing.tagging import tag_rows
from crm.data_exchange.importing.value_lists import (
    colleagues,
    statuses,
    tags,
    types,
)
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
    RowProblem,
    Task,
)
from crm.models.tracking.recorder import take_back_with_counts
from crm.models.validators import is_seen

NO_NAME: Final = (
    "Choose the column that has the name: a lead needs a first or a last name."
)
# What people do on a lead.
WORK: Final[tuple[Any, ...]] = (Change, Deal, DealPerson, Task, Note, Attachment)
# A lead whose last change is later than this after its creation was edited.
JUST_ADDED: Final = timedelta(seconds=1)


class ImportedLeads(ImportedObject):
    subject = ImportSubject.LEAD
    model = Lead
    noun = "lead"
    plural = "leads"
    matched_by = (
        "Leads are matched by e-mail address; without one, by name and phone number,"
        " or else by name and organisation."
    )
    work = "a deal, task, note or file"
    list_url = "leads"
    record_column = "lead_id"
    fields = LEAD_FIELDS
    names = NAMES
    address_field = "email"
    phone_field = "phone"
    presets = PRESETS
    distinct = frozenset({*NAMES, "email", "phone", "notes"})
    custom_subject = FieldSubject.LEAD
    lists: ClassVar = {
        "status": statuses,
        "type": types,
        "owner": colleagues,
        "tags": tags,
    }
    kinds = (CrmEventKind.LEAD_CREATED, CrmEventKind.LEAD_QUALIFIED)

    def problem_of_columns(self, chosen: Collection[str]) -> str:
        return "" if set(NAMES) & set(chosen) else NO_NAME

    def readers(self) -> dict[str, Reader]:
        return readers_of_leads()

    def checked(self, values: dict[str, Any]) -> tuple[dict[str, Any], Lack | None]:
        """A name that no one can see counts as none. A known lead needs only its address."""
        if _has_name(values):
            return values, None
        others = {name: value for name, value in values.items() if name not in NAMES}
        return others, None if "email" in others else self.lacks(others)

    def lacks(self, values: Values) -> Lack | None:
        return None if _has_name(values) else Lack(RowProblem.NAME_MISSING, NAMES)

    def key(self, values: Values, unread_address: str) -> str:
        return person_key(values, unread_address)

    def resolve(
        self, lead_import: LeadImport, rows: Sequence[JudgedRow], *, locks: bool
    ) -> None:
        """Leads refer to nothing."""

    def existing(
        self, lead_import: LeadImport, wanted: Mapping[str, Values], *, locks: bool
    ) -> dict[str, Any]:
        return {**existing_leads(lead_import, wanted, locks=locks)}

    def news(self, record: Any, values: Values) -> dict[str, Any]:
        return news_for(record, values)

    def prepare_new(self, row: JudgedRow) -> None:
        """Don't share a person who may not have agreed."""
        if RowProblem.CONSENT_UNCLEAR in (row.cell_problems or {}).values():
            row.values[SHARED] = False

    def events(self, row: JudgedRow) -> Iterable[str]:
        if not row.values.get(SHARED, True):
            return
        later = "" if row.values.get("email") else LATER
        yield CrmEventKind.LEAD_CREATED + later
        status = row.values.get("status")
        if status and (reached := Lead.kinds_by_meaning.get(status.meaning)):
            yield reached + later

    def add(self, lead_import: LeadImport, rows: Sequence[JudgedRow]) -> None:
        template = Lead(company=lead_import.company, owner_id=lead_import.owner_id)
        reserved = [row.lead_id for row in rows if row.lead_id]
        keys = Lead.objects.insert_like(
            template, [as_columns(row.values) for row in rows], keys=reserved
        )
        for row, key in zip(rows, keys, strict=True):
            row.lead_id = key
        tag_rows(lead_import, Lead, self.record_column, rows)

    def fill(self, lead_import: LeadImport, rows: Sequence[JudgedRow]) -> None:
        opted_out = [row.record.pk for row in rows if SHARED in row.news]
        if opted_out:
            Lead.objects.filter(pk__in=opted_out).update(**{SHARED: False})
        fill_records(lead_import, self, rows, but=[SHARED])

    def locked(self, pks: Sequence[int]) -> dict[int, Any]:
        """They are locked here, before `take_back_with_counts` locks other rows."""
        return lock_records(Lead, pks, WORK)

    def is_untouched(self, row: LeadImportRow, record: Any) -> bool:
        is_just_added = record.updated_at - record.created_at < JUST_ADDED
        is_current = record.erased_at is None and record.merged_into_id is None
        return is_current and is_just_added and not record.is_touched

    def remove(self, lead_import: LeadImport, pks: Sequence[int]) -> int:
        events = CrmEvent.objects.for_company(lead_import.company_id).filter(
            lead__in=pks
        )
        sent = take_back_with_counts(
            events.filter(history_only=False, taken_back_at=None), sender=Lead
        )
        Lead.objects.for_company(lead_import.company_id).filter(pk__in=pks).delete()
        return sum(each.conversions for each in sent)

    def empty(self, rows: Sequence[LeadImportRow], records: Mapping[int, Any]) -> None:
        leads = [(row, records.get(row.lead_id or 0)) for row in rows]
        current = [(row, lead) for row, lead in leads if lead and lead.is_current]
        put_back(Lead, current, _value_before)


def _has_name(values: Values) -> bool:
    return is_seen(values.get("first_name", "") + values.get("last_name", ""))


def _value_before(name: str) -> Any:
    """The value of this field before the import filled it."""
    return name == SHARED or ""


LEADS: Final = ImportedLeads()
