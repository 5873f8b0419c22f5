"""The bodies of requests for exports, and of the responses."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from django.utils import timezone
from django_filters import FilterSet
from rest_framework import serializers
from rest_framework.request import Request

from crm.api.authentication import Caller
from crm.api.fields import Text
from crm.api.filters import TaskFilter
from crm.api.list_filters import NO_FILTER, SEARCH, ApiFilterRequest, ListFiltersField, check_filters, list_filter
from crm.api.serializers import StrictBody
from crm.forms.deal_filters import DealFilter
from crm.forms.filters import filters_in_words
from crm.models import DataExport, Deal, ExportFormat, ExportKind, FieldSubject, Lead, Task
from crm.models.jobs import keys_of
from crm.models.task import TaskQuerySet
from crm.selectors import deal_list
from crm.selectors.custom_fields import fields_in_use
from crm.selectors.deals import search
from crm.selectors.leads import COLUMNS, SORTABLE, all_columns, columns_of, order_of
from crm.selectors.organisations import COLUMNS as ORGANISATION_COLUMNS
from crm.selectors.organisations import oldest_leads
from crm.selectors.tasks import COLUMNS as TASK_COLUMNS

COLUMNS_AT_MOST: Final = 30
FORMATS: Final = [(each.value, str(each.label)) for each in (ExportFormat.CSV, ExportFormat.XLSX)]
FIXED: Final = [column.key for column in COLUMNS if column.is_fixed]
NOT_SORTED: Final = "This list has one order: leave it out."
SORTED: Final = "Choose one of: {}. A - in front of it sorts the other way round."

Filters = Mapping[str, str]


def _choose(choices: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {"invalid_choice": f"Choose one of: {', '.join(value for value, _ in choices)}."}


@dataclass(frozen=True, slots=True)
class ExportableList:
    """A list as a request may ask for it: the orders and columns to choose from, and the ids of its rows in order.

    `keys` raises ValidationError for an unknown filter or an invalid value.
    """

    sorts: Collection[str]
    columns: Callable[[Caller], Sequence[str]]
    keys: Callable[[Caller, Request, Filters, str], Iterable[int]]


def _leads(caller: Caller, request: Request, filters: Filters, sort: str) -> Iterable[int]:
    found = list_filter(caller, filters, Lead.objects.for_company(caller.company).current())
    check_filters(found, filters, keeps_texts=True)
    with timezone.override(caller.company.time_zone):
        return keys_of(*order_of(sort, caller.company).whole(found.qs))


def _deals(caller: Caller, request: Request, filters: Filters, sort: str) -> Iterable[int]:
    found = DealFilter(
        dict(filters), queryset=Deal.objects.for_company(caller.company), request=ApiFilterRequest(caller)
    )
    check_filters(found, filters, keeps_texts=True)
    with timezone.override(caller.company.time_zone):
        deals = search(found.qs, caller.company, filters.get(SEARCH, ""))
    return keys_of(deal_list.in_order(deals, caller.company, sort))


def _tasks(caller: Caller, request: Request, filters: Filters, sort: str) -> Iterable[int]:
    found = TaskFilter(dict(filters), queryset=Task.objects.for_company(caller.company), request=request)
    if SEARCH in filters:
        raise serializers.ValidationError({SEARCH: [NO_FILTER]})
    check_filters(found, filters, keeps_texts=True)
    tasks: TaskQuerySet = found.qs
    return keys_of(tasks.in_order())


def _organisations(caller: Caller, request: Request, filters: Filters, sort: str) -> Iterable[int]:
    check_filters(FilterSet(queryset=Lead.objects.for_company(caller.company).none()), filters, keeps_texts=True)
    return oldest_leads(caller.company, filters.get(SEARCH, ""))


def _lead_columns(caller: Caller) -> Sequence[str]:
    offered = all_columns(caller.company, fields_in_use(caller.company, FieldSubject.LEAD))
    return [column.key for column in columns_of([column.key for column in offered], offered)]


LISTS: Final[Mapping[ExportKind, ExportableList]] = {
    ExportKind.LEADS: ExportableList(SORTABLE, _lead_columns, _leads),
    ExportKind.DEALS: ExportableList(deal_list.ORDERS, lambda caller: [*deal_list.ORDERS], _deals),
    ExportKind.TASKS: ExportableList((), lambda caller: TASK_COLUMNS, _tasks),
    ExportKind.ORGANISATIONS: ExportableList((), lambda caller: ORGANISATION_COLUMNS, _organisations),
}
KINDS: Final = [(kind.value, str(kind.label)) for kind in LISTS]


class AskedExportSerializer(StrictBody):
    """The list, and the kind of file. For leads, `filters`, `sort` and `columns` are as in a saved view.

    `columns` are the keys of columns on the page of the list. None means all that a file can have.
    """

    kind = serializers.ChoiceField(choices=KINDS, error_messages=_choose(KINDS))
    format = serializers.ChoiceField(choices=FORMATS, error_messages=_choose(FORMATS))
    filters = ListFiltersField(required=False)
    sort = Text(required=False, allow_blank=True, max_length=20)
    columns = serializers.ListField(child=Text(max_length=60), required=False, max_length=COLUMNS_AT_MOST)

    def validate(self, attrs: Any) -> Any:
        """Raise ValidationError unless the list has this order, these columns and these filters."""
        request: Request = self.context["request"]
        caller = cast(Caller, request.auth)
        asked, filters, sort = LISTS[attrs["kind"]], attrs.get("filters", {}), attrs.get("sort", "")
        if sort and sort.removeprefix("-") not in asked.sorts:
            raise serializers.ValidationError(
                {"sort": [SORTED.format(", ".join(asked.sorts)) if asked.sorts else NOT_SORTED]}
            )
        offered = asked.columns(caller)
        if set(attrs.get("columns", ())) - set(offered):
            raise serializers.ValidationError({"columns": [f"Choose from: {', '.join(offered)}."]})
        try:
            return {**attrs, "keys": asked.keys(caller, request, filters, sort)}
        except serializers.ValidationError as error:
            raise serializers.ValidationError({"filters": error.detail}) from error

    @property
    def asked(self) -> dict[str, Any]:
        """The export, as the service takes it."""
        valid = self.validated_data
        columns = dict.fromkeys(valid.get("columns", ()))
        if columns and valid["kind"] == ExportKind.LEADS:
            columns = {**dict.fromkeys(FIXED), **columns}  # as on the page, and as with a saved view
        return {
            "kind": ExportKind(valid["kind"]),
            "file_format": ExportFormat(valid["format"]),
            "keys": valid["keys"],
            "columns": [*columns],
            "filters": filters_in_words(valid.get("filters", {})),
        }


class DataExportSerializer(serializers.ModelSerializer[DataExport]):
    """An export. `reached` is how many of the `row_count` rows are done, and `problem` says why it failed.

    `size` is in bytes. `made_by` is a user, null if an API key requested it.
    """

    class Meta:
        model = DataExport
        fields = (
            "id", "kind", "format", "state", "problem", "row_count", "reached", "size", "made_by", "created_at",
            "finished_at", "kept_until",
        )  # fmt: skip
        read_only_fields = fields
