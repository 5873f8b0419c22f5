"""The columns and the format of an export of a list."""

from collections.abc import Mapping
from typing import Any, Final

from django import forms

from crm.models import ExportFormat, ExportKind

SHOWN, ALL = "shown", "all"
FORMATS: Final = [
    (ExportFormat.CSV.value, "CSV, for other programs"),
    (ExportFormat.XLSX.value, "XLSX, for Excel and other spreadsheets"),
]
FORMATS_OF_LEADS: Final = [(ExportFormat.CSV.value, "CSV, for other programs and for importing it again"), *FORMATS[1:]]
OF_PEOPLE: Final = "e-mail, phone, consent, tags and custom fields"
MORE: Final[Mapping[str, str]] = {
    ExportKind.LEADS: OF_PEOPLE,
    ExportKind.DEALS: OF_PEOPLE,
    ExportKind.TASKS: "the e-mail and phone of the lead, and times",
    ExportKind.ORGANISATIONS: "the number of the oldest lead",
}


class ExportForm(forms.Form):
    format = forms.ChoiceField(choices=FORMATS, widget=forms.RadioSelect, initial=ExportFormat.CSV)
    columns = forms.ChoiceField(widget=forms.RadioSelect, initial=SHOWN)

    def __init__(self, *args: Any, kind: ExportKind, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if kind == ExportKind.LEADS:
            formats: Any = self.fields["format"]
            formats.choices = FORMATS_OF_LEADS
        columns: Any = self.fields["columns"]
        columns.choices = [(SHOWN, "The columns of the list"), (ALL, f"All columns, with {MORE[kind]}")]
