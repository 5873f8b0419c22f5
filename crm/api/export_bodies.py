"""The bodies of requests for exports, and of the responses."""

from typing import Any, Final, cast

from django.utils import timezone
from rest_framework import serializers

from crm.api.authentication import Caller
from crm.api.fields import Text
from crm.api.filters import ListFiltersField, check_filters, list_filter
from crm.api.serializers import StrictBody
from crm.lists.filters import filters_in_words
from crm.lists.registry import LISTS
from crm.models import DataExport, ExportFormat

COLUMNS_AT_MOST: Final = 30
FORMATS: Final = [ExportFormat.CSV, ExportFormat.XLSX]
NOT_SORTED: Final = "This list has one order: leave it out."
SORTED: Final = "Choose one of: {}. A - in front of it sorts the other way round."


def _one_of(*values: str) -> serializers.ChoiceField:
    messages: Any = {"invalid_choice": f"Choose one of: {', '.join(values)}."}
    return serializers.ChoiceField(
        choices=[(value, value) for value in values], error_messages=messages
    )


class AskedExportSerializer(StrictBody):
    """The list, and the kind of file. For leads, `filters`, `sort` and `columns` are as in a saved view.

    `columns` are the keys of columns on the page of the list. None means all that a file can have.
    """

    filters = ListFiltersField(required=False)
    sort = Text(required=False, allow_blank=True, max_length=20)
    columns = serializers.ListField(
        child=Text(max_length=60), required=False, max_length=COLUMNS_AT_MOST
    )

    def get_fields(self) -> dict[str, Any]:
        return {
            "kind": _one_of(*LISTS),
            "format": _one_of(*FORMATS),
            **super().get_fields(),
        }

    def validate(self, attrs: Any) -> Any:
        """Raise ValidationError unless the list has this order, these columns and these filters."""
        listed, filters, sort = (
            LISTS[attrs["kind"]],
            attrs.get("filters", {}),
            attrs.get("sort", ""),
        )
        caller = cast(Caller, self.context["request"].auth)
        if sort and not listed.is_sorted_by(sort):
            problem = NOT_SORTED
            if listed.sortable:
                problem = SORTED.format(", ".join(listed.sortable))
            raise serializers.ValidationError({"sort": [problem]})
        offered = [
            column.key
            for column in listed.offered(
                caller.company, listed.custom_fields(caller.company)
            )
        ]
        if set(attrs.get("columns", ())) - set(offered):
            raise serializers.ValidationError(
                {"columns": [f"Choose from: {', '.join(offered)}."]}
            )
        found = list_filter(listed, caller, filters)
        try:
            check_filters(found, filters)
        except serializers.ValidationError as error:
            raise serializers.ValidationError({"filters": error.detail}) from error
        with timezone.override(caller.company.time_zone):
            return {**attrs, "keys": listed.keys(found, sort)}

    @property
    def asked(self) -> dict[str, Any]:
        """The export, as the service takes it."""
        valid = self.validated_data
        columns = dict.fromkeys(valid.get("columns", ()))
        if columns:  # as on the page, and as with a saved view
            fixed = [
                column.key for column in LISTS[valid["kind"]].columns if column.is_fixed
            ]
            columns = {**dict.fromkeys(fixed), **columns}
        return {
            "kind": valid["kind"],
            "file_format": ExportFormat(valid["format"]),
            "keys": valid["keys"],
            "columns": [*columns],
            "filters": filters_in_words(valid.get("filters", {})),
        }


class DataExportSerializer(serializers.ModelSerializer[DataExport]):
    """An export. `reached` is how many of the `row_count` rows are done, and `problem` says why it failed.

    `size` is in bytes. `made_by` is a user, null if an API key requested it.
    """

    kind = serializers.ChoiceField(choices=[*LISTS], read_only=True)

    class Meta:
        model = DataExport
        fields = (
            "id",
            "kind",
            "format",
            "state",
            "problem",
            "row_count",
            "reached",
            "size",
            "made_by",
            "created_at",
            "finished_at",
            "kept_until",
        )
        read_only_fields = fields
