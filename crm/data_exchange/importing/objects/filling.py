"""Fills empty fields of existing records, and tags them."""

from collections.abc import Collection, Sequence
from typing import Any

from django.db.models.functions import Now

from crm.data_exchange.importing.custom_columns import column_names
from crm.data_exchange.importing.objects.definition import ImportedObject
from crm.data_exchange.importing.rows import JudgedRow
from crm.data_exchange.importing.tagging import TAGS, tag_rows
from crm.models import LeadImport


def fill_records(
    lead_import: LeadImport,
    imported: ImportedObject,
    rows: Sequence[JudgedRow],
    *,
    but: Collection[str] = (),
) -> None:
    """Write the news of these rows into their records, without the fields `but`.

    The `filled` of a row gets the keys of the tags' links, which an undo removes.
    """
    records: dict[int, Any] = {}
    names: set[str] = set()
    for row in rows:
        setattr(row, imported.record_column, row.record.pk)
        records[row.record.pk] = row.record
        names |= column_names(row.news)
    fields = sorted(names - {TAGS, *but})
    values = {
        pk: [getattr(record, name) for name in fields] for pk, record in records.items()
    }
    imported.model.objects.update_rows(fields, values, updated_at=Now())
    links = tag_rows(lead_import, imported.model, imported.record_column, rows)
    for row in rows:
        if TAGS in row.news:
            row.filled = {**row.filled, TAGS: links[row.number]}
