"""What becomes of the values of a column that has a list: as chosen, or else the entry of the same name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from crm.data_exchange.importing.cells import Cell
from crm.data_exchange.importing.column_readings import ColumnReading
from crm.data_exchange.importing.value_choices import (
    ValueAction,
    ValueChoice,
    spelled,
    value_key,
)
from crm.data_exchange.importing.value_lists import Entry, ValueList
from crm.models import Otherwise, RowProblem
from crm.search.folding import folded

# Entries that an import can add: more than a list has room for, so that it is refused.
NEW_AT_MOST: Final = 1_000


@dataclass(frozen=True, slots=True)
class Mapped:
    """What becomes of a value: the `entry` that it means or adds, or no entry.

    `is_chosen` by a person; `is_guess`: the name of the entry is only alike.
    """

    action: ValueAction
    entry: Entry | None = None
    is_chosen: bool = False
    is_guess: bool = False

    @property
    def token(self) -> str:
        """That of the `ValueChoice` with the same effect."""
        entry = self.entry
        if entry is None:
            return self.action
        return ValueChoice(self.action, entry.key, entry.meaning).token


class ValueMap:
    """Maps the values of one column. With `adds`, new entries are mapped as if the list had them: see `created`."""

    def __init__(
        self, values: ValueList, reading: ColumnReading, *, adds: bool
    ) -> None:
        self.values, self.reading, self._adds = values, reading, adds
        # By name without accents, and meaning: each of them is added once.
        self.created: dict[tuple[str, str], Entry] = {}

    def of(self, text: str) -> Mapped:
        """What becomes of the value."""
        return self._as_chosen(text) or self.default(text)

    def default(self, text: str) -> Mapped:
        """What becomes of the value unless someone chooses something for it."""
        if entry := self.values.find(text):
            return Mapped(ValueAction.ENTRY, entry)
        if entry := self.values.guess(text):
            return Mapped(ValueAction.ENTRY, entry, is_guess=True)
        if self.reading.otherwise == Otherwise.CREATE and (
            entry := self._new(text, "")
        ):
            return Mapped(ValueAction.CREATE, entry)
        if self.reading.otherwise == Otherwise.ROW:
            return Mapped(ValueAction.ROW)
        return Mapped(ValueAction.EMPTY)

    def _as_chosen(self, text: str) -> Mapped | None:
        """What someone has chosen; None if no one has, or if the entry is gone."""
        choice = self.reading.values.get(value_key(text))
        if choice is None:
            return None
        if choice.action == ValueAction.ENTRY:
            entry = self.values.entries.get(choice.entry)
            return Mapped(ValueAction.ENTRY, entry, is_chosen=True) if entry else None
        if choice.action == ValueAction.CREATE:
            return self._to_create(choice)
        return Mapped(ValueAction(choice.action), is_chosen=True)

    def _to_create(self, choice: ValueChoice) -> Mapped | None:
        """The entry of this name, which someone may have added meanwhile, or a new one."""
        if entry := self.values.find(choice.name):
            return Mapped(ValueAction.ENTRY, entry, is_chosen=True)
        if entry := self._new(choice.name, choice.meaning):
            return Mapped(ValueAction.CREATE, entry, is_chosen=True)
        return None

    def _new(self, text: str, meaning: str) -> Entry | None:
        """The new entry for this value, the same for all that differ by case or accents. None if there can be none."""
        name = spelled(text)
        needs_meaning = bool(self.values.kind.meanings)
        if not self._adds or needs_meaning != bool(meaning):
            return None
        if not self.values.may_be_added(name):
            return None
        key = (folded(name), meaning)
        if key not in self.created and len(self.created) >= NEW_AT_MOST:
            return None
        if key not in self.created:
            self.created[key] = self.values.new_entry(name, meaning)
        return self.created[key]


class ListReader:
    """Reads the cells of a column that has a list."""

    def __init__(self, values: ValueMap) -> None:
        self._map = values
        self._order = list(values.values.entries)

    def __call__(self, cell: str) -> Cell:
        if self._map.values.has_too_many(cell):
            return {}, RowProblem.TOO_LONG
        mapped = [self._map.of(part) for part in self._map.values.parts(cell)]
        if not mapped:
            return {}, ""
        entries = [each.entry for each in mapped if each.entry]
        return self._stored(entries), self._problem(mapped)

    def _stored(self, entries: Sequence[Entry]) -> dict[str, object]:
        """The values by field name."""
        values = self._map.values
        if not entries:
            return dict(values.kind.unknown)
        if values.kind.between is None:
            return {values.column: entries[0].value}
        if values.kind.is_in_order:
            entries = sorted(entries, key=self._position)
        return {values.column: list(dict.fromkeys(each.value for each in entries))}

    def _position(self, entry: Entry) -> int:
        return self._order.index(entry.key) if entry.key else len(self._order)

    def _problem(self, mapped: Sequence[Mapped]) -> str:
        """The worst of the problems, "" for none."""
        without = [each for each in mapped if each.entry is None]
        chosen = {each.action for each in without if each.is_chosen}
        if ValueAction.ROW in chosen:
            return RowProblem.ROW_LEFT_OUT
        if any(not each.is_chosen for each in without):
            return self._map.values.kind.problem
        return RowProblem.LEFT_EMPTY if chosen else ""
