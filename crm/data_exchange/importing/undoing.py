"""Undoes an import: removes the records that it added, and empties the fields that it filled.

A record that someone has worked on or changed since stays as it is.
"""

from crm.data_exchange.importing.objects.registry import object_of
from crm.models import (
    LeadImport,
    LeadImportRow,
    RowOutcome,
    RowUndo,
)


def undo_chunk(lead_import: LeadImport, size: int) -> bool:
    """Undo the newest rows, `size` at most. False if there are none left."""
    imported = object_of(lead_import)
    own = LeadImportRow.objects.for_company(lead_import.company_id)
    written = own.filter(
        lead_import=lead_import,
        outcome__in=(RowOutcome.NEW, RowOutcome.UPDATE),
        undo="",
        number__lte=lead_import.reached,
    )
    rows = list(written.order_by("-number")[:size])
    keys = [getattr(row, imported.record_column) for row in rows]
    records = imported.locked([key for key in keys if key])
    for row, key in zip(rows, keys, strict=True):
        record = records.get(key or 0)
        is_gone = row.outcome == RowOutcome.NEW and (
            record is None or imported.is_untouched(row, record)
        )
        row.undo = RowUndo.REMOVED if is_gone else RowUndo.KEPT
    removed = {row.number for row in rows if row.undo == RowUndo.REMOVED}
    gone = [
        key
        for row, key in zip(rows, keys, strict=True)
        if key and row.number in removed
    ]
    lead_import.already_told += imported.remove(lead_import, gone)
    imported.empty([row for row in rows if row.outcome == RowOutcome.UPDATE], records)
    for outcome in RowUndo:
        own.filter(pk__in=[row.pk for row in rows if row.undo == outcome]).update(
            undo=outcome
        )
    if rows:
        # The next chunk doesn't read these again.
        lead_import.reached = rows[-1].number - 1
    return bool(rows)
