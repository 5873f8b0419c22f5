"""The tags of a file that the company doesn't have yet, and that its import adds."""

from typing import Final

from django.db.models.fields.json import KT

from crm.data_exchange.importing.cells import TagsReader
from crm.data_exchange.importing.column_readings import readings_of
from crm.models import LeadImport, LeadImportRow, Otherwise, RowOutcome

WRITTEN: Final = (RowOutcome.NEW, RowOutcome.UPDATE)


def new_tags(lead_import: LeadImport) -> list[str]:
    """Their names, each once, of the rows that are imported. Two queries, or none."""
    columns = [
        index
        for index, (name, reading) in enumerate(
            zip(lead_import.columns, readings_of(lead_import), strict=True)
        )
        if name == "tags" and reading.otherwise == Otherwise.CREATE
    ]
    if not columns:
        return []
    reader = TagsReader(lead_import.company, adds=True)
    rows = (
        LeadImportRow.objects.of(lead_import)
        .filter(outcome__in=WRITTEN)
        .annotate(cell=KT(f"cells__{columns[0]}"))
    )
    for cell in (
        rows.filter(cell__isnull=False)
        .order_by("cell")
        .values_list("cell", flat=True)
        .distinct()
    ):
        reader(cell)
    return list(reader.added.values())
