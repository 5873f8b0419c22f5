"""Imports: the file, the field of each column, and what to do with the new records."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from crm.data_exchange.importing.column_readings import (
    ColumnReading,
    conventions,
    otherwise_offered,
    readings_of,
    version_of_columns,
)
from crm.data_exchange.importing.objects.definition import LEFT_OUT
from crm.data_exchange.importing.objects.registry import object_of, typed_columns
from crm.data_exchange.importing.text_formats import (
    DELIMITERS,
    ENCODINGS,
    QUOTES,
    TextFormat,
)
from crm.forms.import_values import ImportValuesForm
from crm.forms.leads import limit_to_company
from crm.models import CustomField, ImportSubject, LeadImport, Otherwise, User
from crm.models.people import company_people
from crm.selectors.import_cells import CellTotal
from crm.selectors.import_presets import ColumnGuesses
from crm.selectors.lead_imports import ColumnView, Conversions, labels_with

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
    quote = forms.ChoiceField(
        label="Quotation marks", choices=list(QUOTES.items()), required=False
    )

    def __init__(self, data: Any, *, current: TextFormat) -> None:
        super().__init__(data, initial=current.as_json)
        names = {
            **DELIMITERS,
            current.delimiter: DELIMITERS.get(current.delimiter, current.delimiter),
        }
        self.fields["delimiter"].choices = [  # type: ignore[attr-defined]
            (key, name.capitalize()) for key, name in names.items()
        ]

    @property
    def chosen(self) -> TextFormat:
        return TextFormat(**self.cleaned_data)


class SubjectForm(forms.Form):
    """What a file holds."""

    subject = forms.ChoiceField(label="This file holds", choices=ImportSubject.choices)


class ImportColumnsForm(forms.Form):
    """For each column of the file: its field, how its values are read, and what happens to those that can't be.

    Another program that the file is an export of decides about the fields of all columns. What a form doesn't have
    stays as it is.
    """

    def __init__(
        self, data: Any = None, *, lead_import: LeadImport, may_add: bool
    ) -> None:
        super().__init__(data)
        self._imported = object_of(lead_import)
        custom = typed_columns(lead_import)
        self._lead_import = lead_import
        self.guesses = ColumnGuesses(lead_import)
        if programs := self.guesses.choices:
            self.fields["preset"] = forms.ChoiceField(
                label="Export of",
                choices=programs,
                required=False,
                initial=self.guesses.preset,
            )
        self._labels = labels_with(self._imported, custom)
        self._before = readings_of(lead_import)
        choices = [(LEFT_OUT, "Leave out"), *self._labels.items()]
        columns = zip(
            lead_import.header, lead_import.columns, self._before, strict=True
        )
        for index, (header, name, reading) in enumerate(columns):
            self.fields[f"column_{index}"] = forms.ChoiceField(
                label=header, choices=choices, required=False, initial=name
            )
            if kind := conventions(custom.get(name)):
                self.fields[f"convention_{index}"] = forms.ChoiceField(
                    label=f"How {header} is read",
                    choices=[
                        *([] if reading.convention else [("", "Choose")]),
                        *kind.choices,
                    ],
                    required=False,
                    initial=reading.convention,
                )
            if name:
                adds = reading.otherwise == Otherwise.CREATE
                self.fields[f"otherwise_{index}"] = forms.ChoiceField(
                    label=f"What can't be read in {header}",
                    choices=otherwise_choices(name, custom, may_add=may_add or adds),
                    required=False,
                    initial=reading.otherwise,
                )

    def clean(self) -> None:
        chosen = [name for name in self.columns() if name != LEFT_OUT]
        twice = next((name for name in chosen if chosen.count(name) > 1), None)
        if twice:
            raise ValidationError(
                f"“{self._labels[twice]}” is chosen for two columns. Leave one of them out."
            )
        if problem := self._imported.problem_of_columns(chosen):
            raise ValidationError(problem)

    def columns(self) -> list[str]:
        """The chosen field of each column, or the one that it has in exports of a program that was just chosen."""
        preset = self.cleaned_data.get("preset", "")
        if "preset" in self.data and preset != self.guesses.preset:
            return [guess.field for guess in self.guesses.by(preset)]
        return [
            self.cleaned_data.get(f"column_{index}", LEFT_OUT)
            for index in range(len(self._before))
        ]

    def readings(self, values: ImportValuesForm) -> list[ColumnReading]:
        """How each column is read, and its values; a new reading for a column whose field has changed."""
        chosen = values.with_choices(self._before)
        fields = zip(self.columns(), self._lead_import.columns, strict=True)
        return [
            self._reading(index, chosen[index]) if name == before else ColumnReading()
            for index, (name, before) in enumerate(fields)
        ]

    @property
    def seen(self) -> str:
        """What the page shows, for the request that changes it."""
        return version_of_columns(self._lead_import)

    def _reading(self, index: int, before: ColumnReading) -> ColumnReading:
        convention = self.cleaned_data.get(f"convention_{index}") or before.convention
        is_chosen = before.is_chosen or convention != before.convention
        otherwise = self.cleaned_data.get(f"otherwise_{index}") or before.otherwise
        return replace(
            before, convention=convention, is_chosen=is_chosen, otherwise=otherwise
        )

    def rows(
        self, columns: list[ColumnView]
    ) -> list[tuple[ColumnView, forms.BoundField]]:
        """Each column with its choice, for the page."""
        return [(column, self[f"column_{column.index}"]) for column in columns]

    def otherwise_of(
        self, cells: Iterable[CellTotal], *, but: Container[int]
    ) -> list[tuple[str, forms.BoundField]]:
        """What happens to cells that can't be read, for each column that has some or where they cost the row."""
        indexes = {cell.column for cell in cells if not cell.is_stored}
        indexes |= {
            index
            for index, reading in enumerate(self._before)
            if reading.otherwise == Otherwise.ROW
        }
        wanted = sorted(
            index
            for index in indexes
            if index not in but and f"otherwise_{index}" in self.fields
        )
        return [
            (self._lead_import.header[index], self.otherwise(index)) for index in wanted
        ]

    def convention(self, index: int) -> forms.BoundField:
        return self[f"convention_{index}"]

    def otherwise(self, index: int) -> forms.BoundField:
        return self[f"otherwise_{index}"]


def otherwise_choices(
    name: str, custom: Mapping[str, CustomField], *, may_add: bool
) -> list[tuple[str, str]]:
    """What can happen to values of this field that can't be read or are in no list."""
    offered = otherwise_offered(name, custom, may_add=may_add)
    return [(each.value, each.label) for each in offered]


class StartForm(forms.Form):
    """The owner of the new leads, and whether they are sent to LinkedIn, which defaults to no."""

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

    def __init__(
        self,
        *args: Any,
        lead_import: LeadImport,
        conversions: Conversions,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        limit_to_company(self, "owner", company_people(lead_import.company))
        self.initial.setdefault("owner", lead_import.owner_id)
        self.fields["owner"].label = f"Owner of the new {object_of(lead_import).plural}"
        self._has_conversions = bool(conversions.count)

    @property
    def tells_platforms(self) -> bool:
        return self._has_conversions and self.cleaned_data["tell"] == YES
