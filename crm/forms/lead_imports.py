"""Importing leads: the file, the field of each column, and what to do with the new leads."""

from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from crm.data_exchange.importing.columns import LEFT_OUT, NAMES
from crm.data_exchange.importing.text_formats import DELIMITERS, ENCODINGS, QUOTES, TextFormat
from crm.forms.leads import company_people, limit_to_company
from crm.models import LeadImport, User
from crm.selectors.lead_imports import ColumnView, Conversions, field_labels

NO_NAME: Final = "Choose the column that has the name: a lead needs a first or a last name."
NO, YES = "no", "yes"


class UploadForm(forms.Form):
    """The file. Its content is checked when a worker reads it."""

    file = forms.FileField(
        label="File",
        help_text="CSV, XLSX or ODS, up to 20 MB and 100,000 rows. The first row has the names of the columns.",
        widget=forms.FileInput({"accept": ".csv,.txt,.tsv,.xlsx,.ods"}),
        allow_empty_file=True,
        max_length=None,
        error_messages={"required": "Choose the file to import."},
    )


class FileFormatForm(forms.Form):
    """How a text file is read, as it was read before unless something else is chosen."""

    encoding = forms.ChoiceField(label="Encoding", choices=list(ENCODINGS.items()))
    delimiter = forms.ChoiceField(label="Between columns")
    quote = forms.ChoiceField(label="Quotation marks", choices=list(QUOTES.items()), required=False)

    def __init__(self, data: Any, *, current: TextFormat) -> None:
        super().__init__(data, initial=current.as_json)
        names = {**DELIMITERS, current.delimiter: DELIMITERS.get(current.delimiter, current.delimiter)}
        self.fields["delimiter"].choices = [(key, name.capitalize()) for key, name in names.items()]  # type: ignore[attr-defined]

    @property
    def chosen(self) -> TextFormat:
        return TextFormat(**self.cleaned_data)


class ImportColumnsForm(forms.Form):
    """One choice for each column of the file."""

    def __init__(self, *args: Any, lead_import: LeadImport, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._labels = field_labels(lead_import.company)
        choices = [(LEFT_OUT, "Leave out"), *self._labels.items()]
        for index, name in enumerate(lead_import.header):
            self.fields[f"column_{index}"] = forms.ChoiceField(
                label=name, choices=choices, required=False, initial=lead_import.columns[index]
            )

    def clean(self) -> None:
        chosen = [name for name in self.columns() if name != LEFT_OUT]
        twice = next((name for name in chosen if chosen.count(name) > 1), None)
        if twice:
            raise ValidationError(f"“{self._labels[twice]}” is chosen for two columns. Leave one of them out.")
        if not set(NAMES) & set(chosen):
            raise ValidationError(NO_NAME)

    def columns(self) -> list[str]:
        """The chosen field of each column."""
        return [self.cleaned_data.get(name, LEFT_OUT) for name in self.fields]

    def rows(self, columns: list[ColumnView]) -> list[tuple[ColumnView, forms.BoundField]]:
        """Each column with its choice, for the page."""
        return [(column, self[f"column_{column.index}"]) for column in columns]


class StartForm(forms.Form):
    """The owner of the new leads, and whether LinkedIn is told about them, which defaults to no."""

    owner = forms.ModelChoiceField(
        label="Owner of the new leads",
        required=False,
        queryset=User.objects.none(),
        error_messages={"invalid_choice": "Choose one of your colleagues."},
    )
    tell = forms.ChoiceField(
        choices=[(NO, "No"), (YES, "Yes")],
        initial=NO,
        required=False,
        error_messages={"invalid_choice": "Choose yes or no."},
    )

    def __init__(self, *args: Any, lead_import: LeadImport, conversions: Conversions, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limit_to_company(self, "owner", company_people(lead_import.company))
        self.initial.setdefault("owner", lead_import.owner_id)
        self._has_conversions = bool(conversions.count)

    @property
    def tells_platforms(self) -> bool:
        return self._has_conversions and self.cleaned_data["tell"] == YES
