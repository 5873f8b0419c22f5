"""The rows of an exported list: those on the list when the export was requested, in the same order."""

from typing import Final

from crm.data_exchange.exporting.cells import Row
from crm.lists.columns import with_keys
from crm.lists.registry import LISTS
from crm.models import DataExport, ExportSelection

CHUNK: Final = 1_000


def next_rows(data_export: DataExport, size: int) -> list[Row]:
    """The next `size` rows of the file, with its column names before the first row. Moves the export on.

    A row that has been deleted or erased since is left out, and so is an organisation whose oldest lead has left it.
    """
    company, exported = data_export.company, LISTS[data_export.kind]
    columns = with_keys(exported.columns_in_file(company), data_export.columns)
    keys = ExportSelection.objects.get(data_export=data_export).read()
    chunk = keys[data_export.reached : data_export.reached + size]
    found = exported.exported(company, chunk)
    rows: list[Row] = (
        [] if data_export.reached else [[column.label for column in columns]]
    )
    rows += [
        [column.read(found[key]) for column in columns] for key in chunk if key in found
    ]
    data_export.reached += len(chunk)
    return rows
