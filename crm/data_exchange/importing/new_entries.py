"""The values in a column of an import, and the entries that it adds to the company's lists for some of them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import Count, QuerySet
from django.db.models.fields.json import KT

from crm.data_exchange.importing.column_readings import ColumnReading, readings_of
from crm.data_exchange.importing.objects.registry import object_of, typed_columns
from crm.data_exchange.importing.value_choices import (
    ValueAction,
    spelled,
    value_key,
)
from crm.data_exchange.importing.value_lists import ValueList, value_lists
from crm.data_exchange.importing.value_maps import NEW_AT_MOST, ValueMap
from crm.models import LeadImport, LeadImportRow, Otherwise, RowOutcome
from crm.models.lead_import import LeadImportRowQuerySet

WRITTEN: Final = (RowOutcome.NEW, RowOutcome.UPDATE)


@dataclass(slots=True)
class FileValue:
    """A value in a column, as most rows spell it, and how many rows have it."""

    key: str
    text: str
    rows: int = 0


@dataclass(slots=True)
class NewEntry:
    """An entry to be added to the list of a column, and the keys of the values that it is for."""

    index: int
    values: ValueList
    name: str
    meaning: str
    keys: list[str] = field(default_factory=list)


def values_in(
    rows: LeadImportRowQuerySet, index: int, values: ValueList, *, at_most: int
) -> list[FileValue]:
    """The values in this column, the most frequent first. One query, of the `at_most` most frequent cells.

    Stops at about as many values: a cell may have 200.
    """
    found: dict[str, FileValue] = {}
    for cell, count in _cells(rows, index)[:at_most].iterator():
        parts = {value_key(part): part for part in values.parts(cell)}
        for key, part in parts.items():
            found.setdefault(key, FileValue(key, part)).rows += count
        if len(found) >= at_most:
            break
    return sorted(found.values(), key=lambda value: -value.rows)


def _cells(rows: LeadImportRowQuerySet, index: int) -> QuerySet[Any, tuple[str, int]]:
    """The different cells of this column, each with the number of its rows, the most frequent first."""
    cells = rows.order_by().annotate(cell=KT(f"cells__{index}")).filter(cell__gt="")
    counted = cells.values("cell").annotate(rows=Count("pk")).order_by("-rows", "cell")
    return counted.values_list("cell", "rows")


def _keys_of_texts(
    rows: LeadImportRowQuerySet, index: int, values: ValueList
) -> Iterator[tuple[str, str]]:
    """Each text of this column once, with its key. One query."""
    seen: set[str] = set()
    for cell, _ in _cells(rows, index).iterator():
        for piece in values.pieces(cell):
            if piece not in seen:
                seen.add(piece)
                text = spelled(piece)
                yield value_key(text), text


def new_entries(lead_import: LeadImport) -> list[NewEntry]:
    """What the rows that are imported add to the company's lists. A query for each column that may add something."""
    readings = dict(enumerate(readings_of(lead_import)))
    adding = {index: each for index, each in readings.items() if _may_add(each)}
    if not adding:
        return []
    names = {index: lead_import.columns[index] for index in adding}
    built_in, custom = object_of(lead_import).lists, typed_columns(lead_import)
    lists = value_lists(built_in, lead_import.company, names.values(), custom)
    rows = LeadImportRow.objects.of(lead_import).filter(outcome__in=WRITTEN)
    return [
        entry
        for index, name in names.items()
        if name in lists
        for entry in _added_by(
            _keys_of_texts(rows, index, lists[name]),
            index,
            ValueMap(lists[name], adding[index], adds=True),
        )
    ]


def _may_add(reading: ColumnReading) -> bool:
    chosen = {choice.action for choice in reading.values.values()}
    return reading.otherwise == Otherwise.CREATE or ValueAction.CREATE in chosen


def _added_by(
    texts: Iterable[tuple[str, str]], index: int, value_map: ValueMap
) -> list[NewEntry]:
    """The new entries for these texts, each once. Stops at NEW_AT_MOST."""
    reading = value_map.reading
    keys: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for key, text in texts:
        if reading.otherwise != Otherwise.CREATE and key not in reading.values:
            continue
        mapped = value_map.of(text)
        if mapped.action == ValueAction.CREATE and mapped.entry:
            keys[mapped.entry.label, mapped.entry.meaning][key] = None
        if len(keys) >= NEW_AT_MOST:
            break
    return [
        NewEntry(index, value_map.values, name, meaning, list(those))
        for (name, meaning), those in keys.items()
    ]
