"""The columns and the format of an export of a list."""

from typing import Any, Final

from django import forms

from crm.lists.definition import List
from crm.lists.leads import LEADS
from crm.models import ExportFormat

SHOWN, ALL = "shown", "all"
FORMATS: Final = [
    (ExportFormat.CSV.value, "CSV, for other programs"),
    (ExportFormat.XLSX.value, "XLSX, for Excel and other spreadsheets"),
]
FORMATS_OF_LEADS: Final = [
    (ExportFormat.CSV.value, "CSV, for other programs and for importing it again"),
    *FORMATS[1:],
]


class ExportForm(forms.Form):
    format = forms.ChoiceField(
        choices=FORMATS, widget=forms.RadioSelect, initial=ExportFormat.CSV
    )
    columns = forms.ChoiceField(widget=forms.RadioSelect, initial=SHOWN)

    def __init__(self, *args: Any, exported: List, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if exported is LEADS:
            formats: Any = self.fields["format"]
            formats.choices = FORMATS_OF_LEADS
        columns: Any = self.fields["columns"]
        columns.choices = [
            (SHOWN, "The columns of the list"),
            (ALL, f"All columns, with {exported.also_in_file}"),
        ]
