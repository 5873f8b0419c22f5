"""Notes and calls, as an import adds and removes them."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

from django.db.models import Exists, OuterRef

from crm.data_exchange.importing.cells import Reader
from crm.data_exchange.importing.column_readings import first_column
from crm.data_exchange.importing.objects.activities import (
    SUBJECT,
    Content,
    ImportedActivity,
    moment_of,
)
from crm.data_exchange.importing.objects.definition import Lack, Values
from crm.data_exchange.importing.objects.fixed_lists import note_kinds
from crm.data_exchange.importing.objects.note_cells import (
    NOTE_FIELDS,
    TYPED,
    problem_of_note,
    readers_of_notes,
)
from crm.data_exchange.importing.objects.subjects import (
    SUBJECT_FIELDS,
    names_a_subject,
)
from crm.data_exchange.importing.rows import JudgedRow
from crm.data_exchange.importing.value_lists import colleagues
from crm.models import (
    Attachment,
    ImportSubject,
    LeadImport,
    LeadImportRow,
    Note,
    NoteKind,
    RowProblem,
)
from crm.models.validators import is_seen

NO_TEXT: Final = "Choose the column that has the text of the note."
NO_SUBJECT: Final = (
    "Choose a column that says what the note is about: the number, e-mail address or"
    " name of a lead, or a deal."
)


class ImportedNotes(ImportedActivity):
    subject = ImportSubject.NOTE
    model = Note
    noun = "note"
    plural = "notes"
    matched_by = (
        "Notes are matched by text, time and lead or deal. Known ones stay as they are."
    )
    work = "a file"
    list_url = "leads"
    listed = "leads"
    has_owner = False
    fields = NOTE_FIELDS
    proof = frozenset({"note_text", "note_number"})
    distinct = frozenset({"note_text", "note_number", *SUBJECT_FIELDS})
    lists: ClassVar = {"kind": note_kinds, "owner": colleagues}
    typed = TYPED
    timed = TYPED
    number_field = "note_number"
    columns = (
        "text",
        "kind",
        "lead_id",
        "deal_id",
        "actor_id",
        "api_key_id",
        "created_at",
    )

    def problem_of_columns(self, chosen: Collection[str]) -> str:
        if "note_text" not in chosen:
            return NO_TEXT
        return "" if SUBJECT_FIELDS.keys() & set(chosen) else NO_SUBJECT

    def readers(self) -> dict[str, Reader]:
        return readers_of_notes()

    def problem_of(self, name: str, value: Any) -> str:
        return problem_of_note(value)

    def checked(self, values: dict[str, Any]) -> tuple[dict[str, Any], Lack | None]:
        if not names_a_subject(values):
            return values, Lack(RowProblem.LEAD_UNKNOWN, [*SUBJECT_FIELDS])
        return values, self.lacks(values)

    def lacks(self, values: Values) -> Lack | None:
        if is_seen(values.get("text", "")):
            return None
        return Lack(RowProblem.TEXT_MISSING, ["note_text"])

    def resolve(
        self, lead_import: LeadImport, rows: Sequence[JudgedRow], *, locks: bool
    ) -> None:
        super().resolve(lead_import, rows, locks=locks)
        own = (None, lead_import.made_by_id)
        of_others = [row for row in rows if row.values.get("owner_id") not in own]
        if of_others and not lead_import.may_manage_company():
            column = str(first_column(lead_import, ["owner"]))
            for row in of_others:
                _leave_out_author(row, column)

    def content(self, values: Values) -> Content:
        kind = values.get("kind", NoteKind.NOTE).value
        return values[SUBJECT].key, kind, values["text"], moment_of(values, "written")

    def contents(self, record: Any) -> Iterable[Content]:
        """A row may have the time, to the second, or none."""
        is_on_deal = record.deal_id is not None
        subject = ("deal", record.deal_id) if is_on_deal else ("lead", record.lead_id)
        moment = record.created_at.replace(microsecond=0)
        yield subject, record.kind, record.text, moment
        yield subject, record.kind, record.text, None

    def new(self, lead_import: LeadImport, values: Values, now: datetime) -> list[Any]:
        subject = values[SUBJECT]
        author = values.get("owner_id")
        return [
            values["text"],
            values.get("kind", NoteKind.NOTE).value,
            subject.lead.pk,
            subject.deal.pk if subject.deal else None,
            author or lead_import.made_by_id,
            None if author else lead_import.api_key_id,
            min(moment_of(values, "written") or now, now),
        ]

    def locked(self, pks: Sequence[int]) -> dict[int, Any]:
        """Each with `has_files`. No one can add a file meanwhile."""
        files = Attachment.objects.filter(note=OuterRef("pk"))
        own = self.model.objects.select_for_update(of=("self",)).filter(pk__in=pks)
        notes = own.order_by("pk").annotate(has_files=Exists(files))
        return {note.pk: note for note in notes}

    def is_untouched(self, row: LeadImportRow, record: Any) -> bool:
        return record.edited_at is None and not record.has_files


def _leave_out_author(row: JudgedRow, column: str) -> None:
    """The note gets the importer as its author, and the cell is listed."""
    del row.values["owner_id"]
    if not row.is_bad:
        problem = RowProblem.AUTHOR_OTHER.value
        row.cell_problems = {**(row.cell_problems or {}), column: problem}


NOTES: Final = ImportedNotes()
