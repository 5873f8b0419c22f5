"""The rows of an exported list: those on the list when the export was requested, in the same order."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Prefetch, QuerySet

from crm.data_exchange.exporting.cells import Row
from crm.data_exchange.exporting.columns import (
    TAGS,
    ExportColumn,
    deal_columns,
    lead_columns,
    organisation_columns,
    task_columns,
    with_keys,
)
from crm.models import Company, DataExport, Deal, ExportKind, ExportSelection, Lead, Task
from crm.models.organisation import OrganisationKey
from crm.models.organisation_figures import Organisation, described

CHUNK: Final = 1_000
# In an attribute of its own. In the usual place, each row and its queryset would refer to each other. Only garbage
# collection frees such a cycle, and it is rare in a worker: one held 40 MB of them.
LISTED_TAGS: Final = Prefetch("tags", to_attr=TAGS)
Rows = Callable[[Company, Sequence[int]], Mapping[int, Any]]


@dataclass(frozen=True, slots=True)
class ExportedList:
    """A list as a file: its columns (for the keys of columns on its page, or all without keys), and its rows by id."""

    columns: Callable[[Company, Sequence[str]], list[ExportColumn]]
    rows: Rows


def list_columns(kind: str, company: Company, keys: Sequence[str] = ()) -> list[ExportColumn]:
    """The columns of an export for these columns of the list, or all columns."""
    return LISTS[kind].columns(company, keys)


def next_rows(data_export: DataExport, size: int) -> list[Row]:
    """The next `size` rows of the file, with its column names before the first row. Moves the export on.

    A row that has been deleted or erased since is left out, and so is an organisation whose oldest lead has left it.
    """
    company = data_export.company
    columns = with_keys(list_columns(data_export.kind, company), data_export.columns)
    keys = ExportSelection.objects.get(data_export=data_export).read()
    chunk = keys[data_export.reached : data_export.reached + size]
    found = LISTS[data_export.kind].rows(company, chunk)
    rows: list[Row] = [] if data_export.reached else [[column.label for column in columns]]
    rows += [[column.read(found[key]) for column in columns] for key in chunk if key in found]
    data_export.reached += len(chunk)
    return rows


# Related rows are fetched on their own, not joined: a thousand leads have a handful of owners and statuses.


def exported_leads(company: Company, keys: Sequence[int] | None = None) -> QuerySet[Any]:
    """The company's leads, or those with these keys, with the related rows that their columns read."""
    return Lead.objects.for_company(company, keys=keys).current().prefetch_related("status", "owner", LISTED_TAGS)


def exported_deals(company: Company, keys: Sequence[int] | None = None) -> QuerySet[Any]:
    """The company's deals, or those with these keys, with the related rows that their columns read."""
    related = ("lead", "owner", "stage__pipeline", "lost_reason", LISTED_TAGS)
    return Deal.objects.for_company(company, keys=keys).prefetch_related(*related)


def _exported_tasks(company: Company, keys: Sequence[int]) -> QuerySet[Any]:
    return Task.objects.for_company(company, keys=keys).prefetch_related("owner", "lead", "deal__lead")


def _by_id(exported: Callable[[Company, Sequence[int]], QuerySet[Any]]) -> Rows:
    return lambda company, keys: {row.pk: row for row in exported(company, keys)}


def _organisations(company: Company, keys: Sequence[int]) -> Mapping[int, Organisation]:
    """The organisations whose oldest leads have these ids."""
    leads = Lead.objects.for_company(company, keys=keys).in_organisations()
    names = {*leads.values_list(OrganisationKey("organisation"), flat=True)}
    return {each.first_lead_id: each for each in described(company, sorted(names))}


LISTS: Final[Mapping[str, ExportedList]] = {
    ExportKind.LEADS: ExportedList(lead_columns, _by_id(exported_leads)),
    ExportKind.DEALS: ExportedList(deal_columns, _by_id(exported_deals)),
    ExportKind.TASKS: ExportedList(task_columns, _by_id(_exported_tasks)),
    ExportKind.ORGANISATIONS: ExportedList(organisation_columns, _organisations),
}
