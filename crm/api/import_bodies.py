"""The bodies of requests about imports, and of the responses."""

from collections.abc import Mapping
from typing import Any, Final

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from crm.api.bulk_change_bodies import RuleConversionsSerializer
from crm.api.fields import OwnRowField, Switch, Text
from crm.api.serializers import NO_COLLEAGUE, StrictBody
from crm.data_exchange.importing.columns import LEFT_OUT
from crm.data_exchange.importing.judging import PROBLEM
from crm.data_exchange.importing.text_formats import DELIMITERS, ENCODINGS, QUOTES
from crm.forms.lead_imports import ImportColumnsForm
from crm.forms.leads import company_people
from crm.models import LeadImport, LeadImportRow, RowOutcome, RowProblem
from crm.selectors.lead_imports import conversions, field_labels

COLUMNS_AT_MOST: Final = 1_000
NO_FIELD: Final = 'Choose from: {}. An empty string, "", leaves a column out.'
OTHER_COUNT: Final = "Enter a field for each of the {} columns."


class ImportColumnSerializer(serializers.Serializer[Any]):
    """A column of the file: its name there, and the field of a lead that it fills, empty if it is left out."""

    name = serializers.CharField()
    field = serializers.CharField(allow_blank=True)


class FileFormatSerializer(StrictBody):
    """How a text file is read: its encoding, the character between columns, and the one around cells, "" for none.

    What is left out stays as it is.
    """

    encoding = serializers.ChoiceField(choices=list(ENCODINGS.items()), required=False)
    delimiter = serializers.ChoiceField(choices=list(DELIMITERS.items()), required=False)
    quote = serializers.ChoiceField(choices=list(QUOTES.items()), required=False, allow_blank=True)


class RowProblemSerializer(serializers.Serializer[Any]):
    """How many rows are bad for this reason."""

    problem = serializers.ChoiceField(choices=RowProblem.choices)
    rows = serializers.IntegerField()


class ImportTotalsSerializer(serializers.Serializer[Any]):
    """How many rows have each outcome. They add up to the rows checked so far."""

    new = serializers.IntegerField()
    update = serializers.IntegerField()  # type: ignore[assignment]
    duplicate = serializers.IntegerField()
    bad = serializers.IntegerField()
    problems = RowProblemSerializer(many=True)


class LeadImportSerializer(serializers.ModelSerializer[LeadImport]):
    """An import. `planned` is the result of its check, and `done` what the import has done so far.

    `file_format` is null for a spreadsheet, and before the file is read. `notes` say in sentences what was guessed
    about the file, and `problem` why it failed. `owner` gets the new leads.
    `uploaded_by` is a user, null if an API key uploaded or started it. It can be undone until
    `undo_until`. Then `already_told` counts the conversions for which the undo came too late.
    """

    file_format = serializers.SerializerMethodField()
    columns = serializers.SerializerMethodField()
    planned = serializers.SerializerMethodField()
    done = serializers.SerializerMethodField()

    class Meta:
        model = LeadImport
        fields = (
            "id", "file_name", "size", "state", "problem", "notes", "file_format", "columns", "row_count", "planned",
            "done", "owner", "tells_platforms", "already_told", "uploaded_by", "created_at", "started_at",
            "finished_at", "undo_until",
        )  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(FileFormatSerializer(allow_null=True))
    def get_file_format(self, lead_import: LeadImport) -> Any:
        return lead_import.file_format or None

    @extend_schema_field(ImportColumnSerializer(many=True))
    def get_columns(self, lead_import: LeadImport) -> Any:
        pairs = zip(lead_import.header, lead_import.columns, strict=True)
        return ImportColumnSerializer([{"name": name, "field": field} for name, field in pairs], many=True).data

    @extend_schema_field(ImportTotalsSerializer)
    def get_planned(self, lead_import: LeadImport) -> Any:
        return _totals(lead_import.planned)

    @extend_schema_field(ImportTotalsSerializer)
    def get_done(self, lead_import: LeadImport) -> Any:
        return _totals(lead_import.done)


def _totals(counts: Mapping[str, int]) -> Any:
    problems = [
        {"problem": problem.value, "rows": count} for problem in RowProblem if (count := counts.get(PROBLEM + problem))
    ]
    outcomes = {outcome.value: counts.get(outcome, 0) for outcome in RowOutcome}
    return ImportTotalsSerializer({**outcomes, "problems": problems}).data


class LeadImportDetailSerializer(LeadImportSerializer):
    """An import, with the conversions that each rule would send for its new leads, if ad platforms are told."""

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
    """The file, as multipart/form-data: CSV, XLSX or ODS, with the names of the columns in the first row."""

    file = serializers.FileField(allow_empty_file=True)


class ImportColumnsSerializer(StrictBody):
    """For each column of the file, in order, the field that it fills; empty to leave it out."""

    columns = serializers.ListField(child=Text(allow_blank=True, max_length=80), max_length=COLUMNS_AT_MOST)

    def validate_columns(self, columns: list[str]) -> list[str]:
        """Raise ValidationError unless these are fields, each once, with a name among them."""
        lead_import: LeadImport = self.context["lead_import"]
        if len(columns) != len(lead_import.header):
            raise serializers.ValidationError(OTHER_COUNT.format(len(lead_import.header)))
        fields = field_labels(lead_import.company)
        if set(columns) - {*fields, LEFT_OUT}:
            raise serializers.ValidationError(NO_FIELD.format(", ".join(fields)))
        form = ImportColumnsForm(
            {f"column_{index}": field for index, field in enumerate(columns)}, lead_import=lead_import
        )
        if not form.is_valid():
            raise serializers.ValidationError([str(message) for message in form.non_field_errors()])
        return columns


class StartSerializer(StrictBody):
    """The owner of the new leads, and whether ad platforms are told about them. By default they are not.

    `owner` defaults to the person who uploaded the file, and to no one if that was an API key.
    """

    owner = OwnRowField(rows=company_people, required=False, allow_null=True, otherwise=NO_COLLEAGUE)
    tells_platforms = Switch(required=False, default=False)
