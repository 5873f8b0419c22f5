"""What an export of a list holds, and in which format."""

from typing import Final

from django import forms

from crm.models import ExportFormat

SHOWN, ALL = "shown", "all"
FORMATS: Final = [
    (ExportFormat.CSV.value, "CSV, for other programs and for importing it again"),
    (ExportFormat.XLSX.value, "XLSX, for Excel and other spreadsheets"),
]
COLUMNS: Final = [
    (SHOWN, "The columns of the list"),
    (ALL, "All columns, with e-mail, phone, consent, tags and custom fields"),
]


class ExportForm(forms.Form):
    format = forms.ChoiceField(choices=FORMATS, widget=forms.RadioSelect, initial=ExportFormat.CSV)
    columns = forms.ChoiceField(choices=COLUMNS, widget=forms.RadioSelect, initial=SHOWN)
