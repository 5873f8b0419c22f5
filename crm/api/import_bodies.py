"""The bodies of requests about imports, and of the responses."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from crm.api.bulk_change_bodies import RuleConversionsSerializer
from crm.api.fields import OwnRowField, Switch, Text
from crm.api.import_values import (
    CHOICES_AT_MOST,
    ValueChoiceSerializer,
    chosen_values,
)
from crm.api.serializers import NO_COLLEAGUE, StrictBody
from crm.data_exchange.importing.column_readings import (
    ColumnReading,
    conventions,
    readings_of,
)
from crm.data_exchange.importing.judging import PROBLEM
from crm.data_exchange.importing.objects.definition import LEFT_OUT
from crm.data_exchange.importing.objects.registry import object_of, typed_columns
from crm.data_exchange.importing.text_formats import DELIMITERS, ENCODINGS, QUOTES
from crm.data_exchange.importing.value_lists import ValueList, value_lists
from crm.forms.lead_imports import ImportColumnsForm, otherwise_choices
from crm.models import (
    CustomField,
    ImportSubject,
    LeadImport,
    LeadImportRow,
    Otherwise,
    RowOutcome,
    RowProblem,
)
from crm.models.dates import DayOrder
from crm.models.numbers import DecimalSign
from crm.models.people import company_people
from crm.selectors.import_cells import cell_totals
from crm.selectors.lead_imports import conversions, field_labels

COLUMNS_AT_MOST: Final = 1_000
NO_FIELD: Final = 'Choose from: {}. An empty string, "", leaves a column out.'
OTHER_READINGS: Final = (
    "Enter a reading for each of the {} columns, {{}} to leave it as it is."
)
OTHER_COUNT: Final = "Enter a field for each of the {} columns."


CONVENTIONS: Final = [*DecimalSign.choices, *DayOrder.choices]


class ReadingSerializer(StrictBody):
    """How a column is read. What is left out stays as it is, or is found from the values again.

    `convention` is the decimal sign of its numbers, or which of day and month comes first in its dates. `otherwise` is
    what happens to values that can't be read or are not in the company's list: only admins add to it. `values` says
    what becomes of single values, instead of what was chosen for the column before.
    """

    convention = serializers.ChoiceField(choices=CONVENTIONS, required=False)
    otherwise = serializers.ChoiceField(choices=Otherwise.choices, required=False)
    values = serializers.ListField(
        child=ValueChoiceSerializer(), max_length=CHOICES_AT_MOST, required=False
    )


class ImportColumnSerializer(serializers.Serializer[Any]):
    """A column of the file: its name there, and the field that it fills, empty if it is left out.

    `convention` and `otherwise` are explained at `columns/`. If it `needs_answer`, its values can be read in two ways:
    the import can't be started until someone says which, with a `convention`.
    """

    name = serializers.CharField()
    field = serializers.CharField(allow_blank=True)
    convention = serializers.ChoiceField(choices=CONVENTIONS, allow_blank=True)
    needs_answer = serializers.BooleanField()
    otherwise = serializers.ChoiceField(choices=Otherwise.choices, allow_blank=True)


class FileFormatSerializer(StrictBody):
    """How a text file is read: its encoding, the character between columns, and the one around cells, "" for none.

    What is left out stays as it is.
    """

    encoding = serializers.ChoiceField(choices=list(ENCODINGS.items()), required=False)
    delimiter = serializers.ChoiceField(
        choices=list(DELIMITERS.items()), required=False
    )
    quote = serializers.ChoiceField(
        choices=list(QUOTES.items()), required=False, allow_blank=True
    )


class RowProblemSerializer(serializers.Serializer[Any]):
    """How many rows are bad for this reason."""

    problem = serializers.ChoiceField(choices=RowProblem.choices)
    rows = serializers.IntegerField()


class CellTotalSerializer(serializers.Serializer[Any]):
    """How many cells of a column, counted from 0, have this problem. `is_stored`: they are stored nevertheless."""

    column = serializers.IntegerField()
    name = serializers.CharField()
    problem = serializers.ChoiceField(choices=RowProblem.choices)
    cells = serializers.IntegerField(source="count")
    is_stored = serializers.BooleanField()


class ProblemCellSerializer(serializers.Serializer[Any]):
    """A cell that is left out, or stored though it could mean something else: then `stored` has what is shown of it."""

    column = serializers.IntegerField()
    name = serializers.CharField()
    value = serializers.CharField(source="text")
    problem = serializers.ChoiceField(choices=RowProblem.choices)
    stored = serializers.CharField(allow_blank=True)


class ProblemRowSerializer(serializers.Serializer[Any]):
    """A row with such cells: its number in the file, and its lead once it is imported."""

    number = serializers.IntegerField()
    lead = serializers.IntegerField(allow_null=True)
    cells = ProblemCellSerializer(many=True)


class ImportTotalsSerializer(serializers.Serializer[Any]):
    """How many rows have each outcome. They add up to the rows checked so far.

    `problems` says why rows are bad, `cells` what is wrong with cells of the others.
    """

    new = serializers.IntegerField()
    update = serializers.IntegerField()  # type: ignore[assignment]
    duplicate = serializers.IntegerField()
    bad = serializers.IntegerField()
    problems = RowProblemSerializer(many=True)
    cells = CellTotalSerializer(many=True)


class LeadImportSerializer(serializers.ModelSerializer[LeadImport]):
    """An import. `object` is what its file holds, empty until we have guessed that.

    `planned` is the result of its check, and `done` what the import has done so far.

    `file_format` is null for a spreadsheet, and before the file is read. `notes` say what was guessed
    about the file, and `problem` why it failed. `owner` gets the new leads.
    `made_by` is a user, null if an API key uploaded or started it. It can be undone until
    `undo_until`. Then `already_told` counts the conversions for which the undo came too late.
    """

    object = serializers.ChoiceField(
        source="subject",
        choices=ImportSubject.choices,
        allow_blank=True,
        read_only=True,
    )
    file_format = serializers.SerializerMethodField()
    columns = serializers.SerializerMethodField()
    planned = serializers.SerializerMethodField()
    done = serializers.SerializerMethodField()

    class Meta:
        model = LeadImport
        fields = (
            "id",
            "object",
            "file_name",
            "size",
            "state",
            "step",
            "problem",
            "notes",
            "file_format",
            "columns",
            "row_count",
            "planned",
            "done",
            "owner",
            "tells_platforms",
            "already_told",
            "made_by",
            "created_at",
            "started_at",
            "finished_at",
            "undo_until",
        )
        read_only_fields = fields

    @extend_schema_field(FileFormatSerializer(allow_null=True))
    def get_file_format(self, lead_import: LeadImport) -> Any:
        return lead_import.file_format or None

    @extend_schema_field(ImportColumnSerializer(many=True))
    def get_columns(self, lead_import: LeadImport) -> Any:
        columns = zip(
            lead_import.header,
            lead_import.columns,
            readings_of(lead_import),
            strict=True,
        )
        shown = [
            {
                "name": name,
                "field": field,
                "convention": reading.convention,
                "needs_answer": reading.needs_answer,
                "otherwise": reading.otherwise,
            }
            for name, field, reading in columns
        ]
        return ImportColumnSerializer(shown, many=True).data

    @extend_schema_field(ImportTotalsSerializer)
    def get_planned(self, lead_import: LeadImport) -> Any:
        return _totals(lead_import, lead_import.planned)

    @extend_schema_field(ImportTotalsSerializer)
    def get_done(self, lead_import: LeadImport) -> Any:
        return _totals(lead_import, lead_import.done)


def _totals(lead_import: LeadImport, counts: Mapping[str, int]) -> Any:
    problems = [
        {"problem": problem.value, "rows": count}
        for problem in RowProblem
        if (count := counts.get(PROBLEM + problem))
    ]
    outcomes = {outcome.value: counts.get(outcome, 0) for outcome in RowOutcome}
    cells = cell_totals(lead_import, counts)
    return ImportTotalsSerializer(
        {**outcomes, "problems": problems, "cells": cells}
    ).data


class LeadImportDetailSerializer(LeadImportSerializer):
    """An import, with the conversions that each rule would send for its new leads, if they are sent to ad platforms."""

    conversions = serializers.SerializerMethodField()

    class Meta:
        model = LeadImport
        fields = (*LeadImportSerializer.Meta.fields, "conversions")
        read_only_fields = fields

    @extend_schema_field(RuleConversionsSerializer(many=True))
    def get_conversions(self, lead_import: LeadImport) -> Any:
        return RuleConversionsSerializer(conversions(lead_import).rules, many=True).data


class LeadImportRowSerializer(serializers.ModelSerializer[LeadImportRow]):
    """A bad row: its `number` in the file, its cells, and the column (from 0) that has the `problem`, if one has."""

    class Meta:
        model = LeadImportRow
        fields = ("number", "cells", "problem", "column")
        read_only_fields = fields


class UploadSerializer(StrictBody):
    """The file, as multipart/form-data: CSV, XLSX or ODS, with the names of the columns in the first row.

    Its rows are of this `object`. Without one, we guess from the names of the columns.
    """

    file = serializers.FileField(allow_empty_file=True)
    object = serializers.ChoiceField(choices=ImportSubject.choices, required=False)


class ImportColumnsSerializer(StrictBody):
    """For each column of the file, in order, the field that it fills, empty to leave it out; and how it is read.

    Without `readings`, columns whose field stays the same are read as before.
    """

    columns = serializers.ListField(
        child=Text(allow_blank=True, max_length=80), max_length=COLUMNS_AT_MOST
    )
    readings = serializers.ListField(
        child=ReadingSerializer(), max_length=COLUMNS_AT_MOST, required=False
    )

    def validate_columns(self, columns: list[str]) -> list[str]:
        """Raise ValidationError unless these are fields, each once, with a name among them."""
        lead_import: LeadImport = self.context["lead_import"]
        if len(columns) != len(lead_import.header):
            raise serializers.ValidationError(
                OTHER_COUNT.format(len(lead_import.header))
            )
        fields = field_labels(lead_import)
        if set(columns) - {*fields, LEFT_OUT}:
            raise serializers.ValidationError(NO_FIELD.format(", ".join(fields)))
        data = {f"column_{index}": field for index, field in enumerate(columns)}
        form = ImportColumnsForm(data, lead_import=lead_import, may_add=False)
        if not form.is_valid():
            raise serializers.ValidationError(
                [str(message) for message in form.non_field_errors()]
            )
        return columns

    def validate(self, attrs: Any) -> Any:
        """Raise ValidationError unless each reading is one that its column can have."""
        if "readings" in attrs:
            attrs["readings"] = self._readings(attrs["columns"], attrs["readings"])
        return attrs

    def _readings(self, columns: list[str], asked: list[Any]) -> list[ColumnReading]:
        lead_import: LeadImport = self.context["lead_import"]
        if len(asked) != len(columns):
            raise serializers.ValidationError(
                {"readings": OTHER_READINGS.format(len(columns))}
            )
        built_in = object_of(lead_import).lists
        custom = typed_columns(lead_import)
        lists = value_lists(built_in, lead_import.company, columns, custom)
        before = zip(
            columns, lead_import.columns, readings_of(lead_import), strict=True
        )
        kept = [
            reading if name == old else ColumnReading() for name, old, reading in before
        ]
        return [
            self._with_values(
                index,
                lists.get(name),
                self._reading(index, name, custom, kept[index], reading),
                reading,
            )
            for index, (name, reading) in enumerate(zip(columns, asked, strict=True))
        ]

    def _with_values(
        self, index: int, values: ValueList | None, reading: ColumnReading, asked: Any
    ) -> ColumnReading:
        """The reading with what is asked for single values. Raises ValidationError."""
        if "values" not in asked:
            return reading
        may_add = self.context["may_add"]
        try:
            chosen = chosen_values(values, asked["values"], may_add=may_add)
        except serializers.ValidationError as error:
            [problem] = error.detail
            raise serializers.ValidationError(
                {"readings": f"Column {index}: {problem}"}
            ) from None
        return replace(reading, values=chosen)

    def _reading(
        self,
        index: int,
        name: str,
        custom: Mapping[str, CustomField],
        before: ColumnReading,
        asked: Any,
    ) -> ColumnReading:
        kind = conventions(custom.get(name))
        convention = asked.get("convention", "")
        otherwise = asked.get("otherwise", before.otherwise)
        if convention and (kind is None or convention not in kind.values):
            possible = "it is no number or date"
            if kind:
                possible = f"choose from {', '.join(kind.values)}"
            raise serializers.ValidationError(
                {"readings": f"Column {index}: {possible}."}
            )
        offered = [
            value
            for value, _ in otherwise_choices(
                name, custom, may_add=self.context["may_add"]
            )
        ]
        if "otherwise" in asked and otherwise not in offered:
            raise serializers.ValidationError(
                {"readings": f"Column {index}: choose from {', '.join(offered)}."}
            )
        if convention:
            return replace(
                before, convention=convention, is_chosen=True, otherwise=otherwise
            )
        return replace(before, otherwise=otherwise)


class StartSerializer(StrictBody):
    """The owner of the new leads, and whether they are sent to ad platforms. By default they are not.

    `owner` defaults to the person who uploaded the file, and to no one if that was an API key.
    """

    owner = OwnRowField(
        rows=company_people, required=False, allow_null=True, otherwise=NO_COLLEAGUE
    )
    tells_platforms = Switch(required=False, default=False)
