"""The fields of a note or call that a column can be, and how their cells are read."""

from datetime import date
from typing import Any, Final

from django.utils import timezone

from crm.data_exchange.importing.cells import Reader, TextReader
from crm.data_exchange.importing.objects.definition import Field
from crm.data_exchange.importing.objects.lead_references import number_reader
from crm.data_exchange.importing.objects.subjects import (
    SUBJECT_FIELDS,
    subject_readers,
)
from crm.models import FieldType, Note, RowProblem

NOTE_FIELDS: Final = {
    # Files of leads have columns named “Text” and “Notes”, too.
    "note_text": Field(
        "Text",
        "notetext notebody notecontent callnotes notiztext",
        unsure="text note notes body content description comment comments notitie notiz",
    ),
    "note_number": Field("Note number", "notenumber noteid"),
    "kind": Field("Kind", "kind notetype activitytype", unsure="type soort art"),
    "written": Field(
        "Time",
        "time written created createdat createdate createddate activitydate timestamp "
        "tijd zeitpunkt aangemaakt erstellt datedecreation fechadecreacion",
        unsure="date datum fecha",
    ),
    **SUBJECT_FIELDS,
    "owner": Field(
        "By", "by author createdby owner noteowner auteur auteurs verfasser autor"
    ),
}
TYPED: Final = {"written": FieldType.DATE}


def readers_of_notes() -> dict[str, Reader]:
    """The readers of fields whose values are from no list, by field, without dates."""
    return {
        **subject_readers(),
        "note_text": TextReader("text", Note._meta.get_field("text")),
        "note_number": number_reader("note_number"),
    }


def problem_of_note(value: Any) -> str:
    """What is wrong with the day when a note was written, "" if nothing is."""
    day = date.fromisoformat(value)
    return "" if day <= timezone.localdate() else RowProblem.DATE_IMPOSSIBLE
