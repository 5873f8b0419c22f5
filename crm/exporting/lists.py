"""The rows of an export of leads or deals: those that were on the list when it was asked for, in its order."""

from collections.abc import Sequence
from typing import Any, Final

from django.db.models import Prefetch, QuerySet

from crm.exporting.cells import Row
from crm.exporting.columns import TAGS, ExportColumn, deal_columns, lead_columns, with_keys
from crm.models import Company, DataExport, Deal, ExportKind, ExportSelection, Lead

CHUNK: Final = 1_000
# In an attribute of its own. In its usual place each row would refer to a queryset that refers to the row: garbage that
# no count of references frees, and a worker collects rarely. It had 40 MB of that.
LISTED_TAGS: Final = Prefetch("tags", to_attr=TAGS)


def list_columns(kind: str, company: Company, keys: Sequence[str] = ()) -> list[ExportColumn]:
    """The columns of an export for these columns of the list, or all columns."""
    return (lead_columns if kind == ExportKind.LEADS else deal_columns)(company, keys)


def next_rows(data_export: DataExport) -> list[Row]:
    """The next rows of the file, with the names of its columns before the first. Moves the export on.

    A lead or deal that has been deleted or erased since is left out.
    """
    columns = with_keys(list_columns(data_export.kind, data_export.company), data_export.columns)
    keys = ExportSelection.objects.get(data_export=data_export).read()
    chunk = keys[data_export.reached : data_export.reached + CHUNK]
    rows: list[Row] = [] if data_export.reached else [[column.label for column in columns]]
    rows += [[column.read(each) for column in columns] for each in _in_order(data_export, chunk)]
    data_export.reached += len(chunk)
    return rows


def _in_order(data_export: DataExport, keys: Sequence[int]) -> list[Any]:
    rows = exported_leads if data_export.kind == ExportKind.LEADS else exported_deals
    found = {row.pk: row for row in rows(data_export.company).filter(pk__in=keys)}
    return [found[key] for key in keys if key in found]


# Related rows are fetched on their own, not joined: a thousand leads have a handful of owners and statuses.


def exported_leads(company: Company) -> QuerySet[Any]:
    """The company's leads, with the related rows that their columns read."""
    return Lead.objects.for_company(company).current().prefetch_related("status", "owner", LISTED_TAGS)


def exported_deals(company: Company) -> QuerySet[Any]:
    """The company's deals, with the related rows that their columns read."""
    related = ("lead", "owner", "stage__pipeline", "lost_reason", LISTED_TAGS)
    return Deal.objects.for_company(company).prefetch_related(*related)
