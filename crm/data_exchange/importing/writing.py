"""Writes the judged rows of a chunk: new records, additions to existing ones, and the rows themselves."""

from collections.abc import Sequence

from django.db import DEFAULT_DB_ALIAS

from crm.data_exchange.importing.objects.definition import ImportedObject
from crm.data_exchange.importing.objects.registry import object_of
from crm.data_exchange.importing.rows import JUDGEMENT, JudgedRow
from crm.models import LeadImport, LeadImportRow, many_rows
from crm.models.tracking.origin import acting_as


def reserve_keys(
    imported: ImportedObject, judged: Sequence[JudgedRow], *, after: int = 0
) -> None:
    """Reserve the keys of the records of new rows. A row then needn't be saved again once its record exists.

    Keys ascend in the order of the file and are higher than `after`: from the first row without such a key on, all
    rows get new ones.
    """
    column = imported.record_column
    new = [row for row in judged if row.is_new]
    for index, row in enumerate(new):
        reserved = getattr(row, column) or 0
        if reserved <= after:
            keys = many_rows.new_keys(
                imported.model, len(new) - index, using=DEFAULT_DB_ALIAS
            )
            for other, key in zip(new[index:], keys, strict=True):
                setattr(other, column, key)
            return
        after = reserved


def renew_keys(lead_import: LeadImport, judged: Sequence[JudgedRow]) -> None:
    """Like `reserve_keys`, just before the records are added: no key is lower than those of others added meanwhile.

    The API lists rows by key. A client that reads on from the newest would never see one with a lower key.
    """
    imported = object_of(lead_import)
    after = 0
    keys = [getattr(row, imported.record_column) for row in judged if row.is_new]
    if reserved := [key for key in keys if key]:
        newer = imported.model.objects.for_company(lead_import.company_id).filter(
            pk__gte=min(reserved)
        )
        after = newer.order_by("-pk").values_list("pk", flat=True).first() or 0
    reserve_keys(imported, judged, after=after)


def write(lead_import: LeadImport, judged: Sequence[JudgedRow]) -> None:
    """Add the records of new rows, fill the existing ones of the others, and save the rows that have changed."""
    imported = object_of(lead_import)
    new = [row for row in judged if row.is_new]
    updates = [row for row in judged if row.is_update]
    with acting_as(lead_import.author, history_only=not lead_import.tells_platforms):
        imported.add(lead_import, new)
        imported.fill(lead_import, updates)
    save_rows(lead_import, judged)


def save_rows(lead_import: LeadImport, judged: Sequence[JudgedRow]) -> None:
    """Save the judgement of each row whose judgement has changed.

    If an erasure has emptied a row since it was read, the row's key and values are cleared again.
    """
    changed = {row.pk: row.judgement for row in judged if row.has_changed}
    many_rows.update_rows(LeadImportRow, JUDGEMENT, changed, using=DEFAULT_DB_ALIAS)
    if changed:
        own = LeadImportRow.objects.for_company(lead_import.company_id).filter(
            lead_import=lead_import
        )
        these = own.filter(number__range=(judged[0].number, judged[-1].number))
        these.filter(cells=[]).update(key="", filled={}, cell_problems=None)
