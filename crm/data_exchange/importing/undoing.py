"""Undoes an import: removes the records that it added, and empties the fields that it filled.

A record that someone has worked on or changed since stays as it is.
"""

from collections.abc import Sequence

from crm.data_exchange.importing.objects.registry import object_of
from crm.models import LeadImport, LeadImportRow, RowOutcome, RowUndo
from crm.models.lead_import import LeadImportRowQuerySet


def undo_chunk(lead_import: LeadImport, size: int) -> bool:
    """Undo the newest rows, `size` at most. False if there are none left."""
    imported = object_of(lead_import)
    rows = list(_written(lead_import).order_by("-number")[:size])
    if not rows:
        return False
    keys = {row.pk: getattr(row, imported.record_column) for row in rows}
    records = imported.locked([key for key in keys.values() if key])
    added = [row for row in rows if row.outcome == RowOutcome.NEW]
    filled = [row for row in rows if row.outcome == RowOutcome.UPDATE]
    for row in rows:
        row.undo = RowUndo.KEPT  # unless what follows says otherwise
    removed = []
    for row in added:
        record = records.get(keys[row.pk] or 0)
        if record is None or imported.is_untouched(row, record):
            row.undo = RowUndo.REMOVED
            removed.append(keys[row.pk])
    lead_import.already_told += imported.remove(lead_import, [*filter(None, removed)])
    imported.empty(filled, records)
    _save(lead_import, rows)
    # The next chunk doesn't read these again.
    lead_import.reached = rows[-1].number - 1
    return True


def _written(lead_import: LeadImport) -> LeadImportRowQuerySet:
    """The rows that have written something which is not undone yet."""
    own = LeadImportRow.objects.for_company(lead_import.company_id)
    return own.filter(
        lead_import=lead_import,
        outcome__in=(RowOutcome.NEW, RowOutcome.UPDATE),
        undo="",
        number__lte=lead_import.reached,
    )


def _save(lead_import: LeadImport, rows: Sequence[LeadImportRow]) -> None:
    """Save what the undo did with each row."""
    own = LeadImportRow.objects.for_company(lead_import.company_id)
    for outcome in RowUndo:
        pks = [row.pk for row in rows if row.undo == outcome]
        own.filter(pk__in=pks).update(undo=outcome)
