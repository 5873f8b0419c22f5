"""How the cells of a column are read: one decimal sign or one order of day and month for all of its values.

It is found from all of them: one value that has a single meaning settles it. If there is none, a person has to say.
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final, Self

from crm.data_exchange.importing.value_choices import ValueAction, ValueChoice
from crm.data_exchange.importing.value_lists import can_grow
from crm.models import CustomField, FieldType, LeadImport, Otherwise
from crm.models.dates import DateReadings, DayOrder, date_readings
from crm.models.numbers import DecimalSign, NumberReadings, number_readings

EXAMPLES: Final = 4  # rows whose cells can be read in two ways
REPEATED: Final = 1_000  # cells of a column whose readings are cached

Readings = NumberReadings | DateReadings
Convention = DecimalSign | DayOrder
RowOfCells = tuple[int, Sequence[str]]  # its number and its cells


@dataclass(frozen=True, slots=True)
class ColumnReading:
    """How a column is read.

    `convention` is its `DecimalSign` or `DayOrder`: `is_chosen` by a person, else found from its values; "" if it makes
    no difference, or if the column `is_unclear`, as any value fits both. It was `settled_by` the row with this number;
    the rows of `examples` fit both. `otherwise` is what happens to a cell that can't be read, "" for the usual.

    `values` has what someone has chosen for single values, by their `value_key`, and `list_digest` the digest of the
    list that they are from, as it was when they were checked.
    """

    convention: str = ""
    is_chosen: bool = False
    is_unclear: bool = False
    settled_by: int | None = None
    examples: Sequence[int] = ()
    otherwise: str = ""
    values: Mapping[str, ValueChoice] = field(default_factory=dict)
    list_digest: str = ""

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        known = {each.name for each in fields(cls)}
        kept = {name: value for name, value in stored.items() if name in known}
        values = stored.get("values", {}).items()
        choices = {key: ValueChoice.of(choice) for key, choice in values}
        return cls(**{**kept, "values": choices})

    @property
    def needs_answer(self) -> bool:
        return self.is_unclear and not self.convention


def readings_of(lead_import: LeadImport) -> list[ColumnReading]:
    """The reading of each column."""
    stored = [ColumnReading.of(reading) for reading in lead_import.readings]
    return stored + [ColumnReading()] * (len(lead_import.columns) - len(stored))


def first_column(lead_import: LeadImport, names: Collection[str]) -> int | None:
    """The index of the first column that has one of these fields."""
    columns = enumerate(lead_import.columns)
    return next((index for index, name in columns if name in names), None)


def as_json(readings: Iterable[ColumnReading]) -> list[dict[str, Any]]:
    return [asdict(reading) for reading in readings]


def version_of_columns(lead_import: LeadImport) -> str:
    """Another one once someone has changed what a column is or how it is read."""
    chosen = [
        (
            reading.convention if reading.is_chosen else "",
            reading.otherwise,
            sorted((key, each.token) for key, each in reading.values.items()),
        )
        for reading in readings_of(lead_import)
    ]
    content = json.dumps([lead_import.columns, chosen])
    return blake2b(content.encode(), digest_size=8).hexdigest()


def unanswered(lead_import: LeadImport) -> list[str]:
    """The names of the columns of which someone has to say how they are read."""
    pairs = zip(lead_import.header, readings_of(lead_import), strict=True)
    return [name for name, reading in pairs if reading.needs_answer]


def with_usual(
    name: str,
    reading: ColumnReading,
    custom: Mapping[str, CustomField],
    *,
    may_add: bool,
) -> ColumnReading:
    """The reading with what usually happens to a value that isn't in the company's list, unless someone has chosen.

    Tags are added by anyone who may change the company's lists.
    """
    if reading.otherwise in otherwise_offered(name, custom, may_add=True):
        return reading
    adds = name == "tags" and may_add
    return replace(reading, otherwise=Otherwise.CREATE if adds else Otherwise.EMPTY)


def remembered(reading: ColumnReading) -> ColumnReading:
    """What the next import with the same columns begins with: what was chosen for values, but nothing is added."""
    adds, row = ValueAction.CREATE, Otherwise.ROW
    values = {key: each for key, each in reading.values.items() if each.action != adds}
    otherwise = row if reading.otherwise == row else ""
    return ColumnReading(values=values, otherwise=otherwise)


def otherwise_offered(
    name: str, custom: Mapping[str, CustomField], *, may_add: bool
) -> list[Otherwise]:
    """What can happen to values of this field that can't be read or are in no list.

    Statuses are not added in this way: each needs its meaning.
    """
    offered = [Otherwise.EMPTY, Otherwise.ROW]
    return (
        [Otherwise.CREATE, *offered] if may_add and can_grow(name, custom) else offered
    )


def conventions(field: CustomField | None) -> type[Convention] | None:
    """What can be chosen for columns of this field; None if there is nothing to choose."""
    match field and field.type:
        case FieldType.NUMBER | FieldType.MONEY:
            return DecimalSign
        case FieldType.DATE:
            return DayOrder
    return None


def survey(
    columns: Sequence[str],
    readings: Sequence[ColumnReading],
    custom: Mapping[str, CustomField],
    rows: Iterable[RowOfCells],
) -> list[ColumnReading]:
    """The readings, with what all of these rows say about columns of numbers and dates. Others are read as before."""
    kinds = {index: conventions(custom.get(name)) for index, name in enumerate(columns)}
    surveys = {index: Survey(kind) for index, kind in kinds.items() if kind}
    if surveys:
        for number, cells in rows:
            for index, each in surveys.items():
                if index < len(cells) and cells[index]:
                    each.add(number, cells[index])
    plain = ColumnReading()
    return [
        surveys[index].result(reading)
        if index in surveys
        else replace(plain, otherwise=reading.otherwise, values=reading.values)
        for index, reading in enumerate(readings)
    ]


READERS: Final[Mapping[type[Convention], Callable[[str], Readings]]] = {
    DecimalSign: number_readings,
    DayOrder: date_readings,
}


@dataclass(slots=True)
class Survey:
    """What the values of a column say about its convention."""

    kind: type[Convention]
    # Of values that have a single meaning, by convention.
    counts: Counter[str] = field(default_factory=Counter)
    # The number of the first row with such a value.
    first: dict[str, int] = field(default_factory=dict)
    # The numbers of the first rows with other values.
    unclear: list[int] = field(default_factory=list)
    # The convention that one of these probably has.
    likely: str = ""
    read: Callable[[str], Readings] = field(init=False)

    def __post_init__(self) -> None:
        self.read = lru_cache(REPEATED)(READERS[self.kind])

    def add(self, number: int, cell: str) -> None:
        found = self.read(cell)
        if found.only:
            self.counts[found.only] += 1
            self.first.setdefault(found.only, number)
        elif found.is_ambiguous:
            self.likely = self.likely or found.likely
            if len(self.unclear) < EXAMPLES:
                self.unclear.append(number)

    def result(self, before: ColumnReading) -> ColumnReading:
        """The reading of the column. A convention that a person has chosen stays."""
        found = self._found()
        is_chosen = before.is_chosen and before.convention in self.kind.values
        return ColumnReading(
            convention=before.convention if is_chosen else found,
            is_chosen=is_chosen,
            is_unclear=bool(self.unclear) and not found,
            settled_by=None if is_chosen else self.first.get(found),
            examples=self.unclear,
            otherwise=before.otherwise,
        )

    def _found(self) -> str:
        """The convention that the values show; "" if they show none, or both and some fit both."""
        if not self.counts:
            return self.likely
        if len(self.counts) > 1 and self.unclear:
            return ""
        [(convention, _)] = self.counts.most_common(1)
        return convention
