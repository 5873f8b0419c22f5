"""The values of an import's columns that have a list here, and what becomes of each."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from crm.data_exchange.importing.new_entries import (
    FileValue,
    NewEntry,
    new_entries,
    values_in,
)
from crm.data_exchange.importing.value_choices import ValueAction, ValueChoice, spelled
from crm.data_exchange.importing.value_lists import ValueList
from crm.data_exchange.importing.value_maps import NEW_AT_MOST, Mapped, ValueMap
from crm.models import LeadImport, LeadImportRow
from crm.models.bidi import without_bidi_controls

VALUES_AT_MOST: Final = 200  # of a column
VALUES_OF_PAGE: Final = 400  # of all columns: each is a field of a form
OPTIONS_OF_PAGE: Final = 20_000
CELLS_READ: Final = 2_000  # different ones of a column, the most frequent
NAME_SHOWN: Final = 40  # characters


@dataclass(frozen=True, slots=True)
class ValueRow:
    """A value of the file: what becomes of it, and what would if no one had chosen anything.

    `slug` names it in a form. `mark` says in a word what is done about it, and `is_left_out` whether its cells are.
    """

    value: FileValue
    slug: str
    mapped: Mapped
    default: Mapped
    mark: str

    @property
    def is_left_out(self) -> bool:
        return self.mapped.entry is None


@dataclass(frozen=True, slots=True)
class ColumnOfValues:
    """A column whose values are from a list: the most frequent ones, and how many `more` there are."""

    index: int
    name: str
    values: ValueList
    rows: Sequence[ValueRow]
    known: int
    total: int
    is_cut: bool

    @property
    def more(self) -> int:
        return self.total - len(self.rows)


@dataclass(frozen=True, slots=True)
class Addition:
    """How many entries an import adds to one kind of list, or at least."""

    count: int
    noun: str

    @property
    def is_cut(self) -> bool:
        return self.count >= NEW_AT_MOST


def columns_of_values(
    lead_import: LeadImport, value_maps: Mapping[str, ValueMap]
) -> list[ColumnOfValues]:
    """The columns whose values are from a list, and that have any. A query for each."""
    columns = [
        (index, name, value_maps[field])
        for index, (name, field) in enumerate(
            zip(lead_import.header, lead_import.columns, strict=True)
        )
        if field in value_maps
    ]
    found = [
        _column(lead_import, index, name, value_map, len(columns))
        for index, name, value_map in columns
    ]
    return [column for column in found if column.total]


def _column(
    lead_import: LeadImport,
    index: int,
    name: str,
    value_map: ValueMap,
    columns: int,
) -> ColumnOfValues:
    rows = LeadImportRow.objects.of(lead_import)
    values = values_in(rows, index, value_map.values, at_most=CELLS_READ)
    default = [value_map.default(value.text) for value in values]
    shown = values[: _shown(value_map.values, columns)]
    return ColumnOfValues(
        index,
        name,
        value_map.values,
        [
            _row(value, value_map, unchosen)
            for value, unchosen in zip(shown, default, strict=False)
        ],
        known=sum(each.action == ValueAction.ENTRY for each in default),
        total=len(values),
        is_cut=len(values) >= CELLS_READ,
    )


def _shown(values: ValueList, columns: int) -> int:
    """How many values of a column a page shows: fewer if each of them has many options."""
    by_options = OPTIONS_OF_PAGE // columns // (len(values.entries) + 3)
    return max(10, min(VALUES_AT_MOST, VALUES_OF_PAGE // columns, by_options))


def _row(value: FileValue, value_map: ValueMap, default: Mapped) -> ValueRow:
    mapped = value_map.of(value.text)
    return ValueRow(value, slug(value.key), mapped, default, _mark(value, mapped))


def slug(key: str) -> str:
    """The value in the name of a field of a form."""
    return blake2b(key.encode("utf-8", "replace"), digest_size=6).hexdigest()


def _mark(value: FileValue, mapped: Mapped) -> str:
    match mapped.action:
        case ValueAction.CREATE:
            return "new"
        case ValueAction.EMPTY:
            return f"{value.rows:,} cell{'' if value.rows == 1 else 's'}"
        case ValueAction.ROW:
            return f"{value.rows:,} row{'' if value.rows == 1 else 's'}"
    if mapped.is_chosen:
        return "chosen"
    return "guessed" if mapped.is_guess else "same"


def options(
    value: FileValue, values: ValueList, *, may_add: bool
) -> Iterator[tuple[str, str]]:
    """What can be done about a value, as the token of a `ValueChoice` and a label."""
    for entry in values.entries.values():
        token = ValueChoice(ValueAction.ENTRY, entry.key).token
        yield token, without_bidi_controls(entry.label)
    name = spelled(value.text)
    if may_add and values.may_be_added(name) and values.find(name) is None:
        yield from _ways_to_create(name, values)
    yield ValueAction.EMPTY.value, "Leave empty"
    yield ValueAction.ROW.value, "Leave out the row"


def _ways_to_create(name: str, values: ValueList) -> Iterator[tuple[str, str]]:
    """One way, or one for each meaning of a status."""
    shown = without_bidi_controls(name)
    if len(shown) > NAME_SHOWN:
        shown = f"{shown[:NAME_SHOWN]}…"
    if not values.kind.meanings:
        yield ValueAction.CREATE.value, f"Create “{shown}”"
    for meaning, label in values.kind.meanings:
        token = ValueChoice(ValueAction.CREATE, meaning=meaning).token
        yield token, f"Create “{shown}”, meaning {label}"


def additions(lead_import: LeadImport) -> list[Addition]:
    """What the import adds to the company's lists, by kind. A query for each column that may add something."""
    new: list[NewEntry] = new_entries(lead_import)
    kinds = {entry.values.kind.plural: entry.values.kind for entry in new}
    counts = Counter(entry.values.kind.plural for entry in new)
    return [
        Addition(count, kinds[plural].noun if count == 1 else plural)
        for plural, count in counts.items()
    ]
