"""What becomes of the values of an import's columns that have lists here."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from django import forms

from crm.data_exchange.importing.column_readings import ColumnReading
from crm.data_exchange.importing.value_choices import (
    ValueAction,
    ValueChoice,
    spelled,
)
from crm.models.bidi import without_bidi_controls
from crm.selectors.import_values import ColumnOfValues, ValueRow, options

GONE: Final = "It is no longer in your company's list. Choose again."


class ImportValuesForm(forms.Form):
    """A select for each value that the page shows, set to what becomes of it unless something else is chosen."""

    def __init__(
        self,
        data: Any = None,
        *,
        columns: Sequence[ColumnOfValues],
        may_add: bool,
    ) -> None:
        super().__init__(data)
        self._columns = columns
        for column in columns:
            for row in column.rows:
                is_added = row.mapped.action == ValueAction.CREATE
                self.fields[_name(column, row)] = forms.ChoiceField(
                    label=without_bidi_controls(f"{column.name}: {row.value.text}"),
                    choices=list(
                        options(row.value, column.values, may_add=may_add or is_added)
                    ),
                    required=False,
                    initial=row.mapped.token,
                    error_messages={"invalid_choice": GONE},
                )

    def with_choices(self, readings: Iterable[ColumnReading]) -> list[ColumnReading]:
        """The readings of all columns, with what is chosen for the values of columns that have a list."""
        found = list(readings)
        for column in self._columns:
            values = dict(found[column.index].values)
            for row in column.rows:
                self._choose(values, column, row)
            found[column.index] = replace(found[column.index], values=values)
        return found

    def _choose(
        self, values: dict[str, ValueChoice], column: ColumnOfValues, row: ValueRow
    ) -> None:
        """Add or remove what is chosen for a value. What would happen anyway is no choice."""
        token = self.cleaned_data.get(_name(column, row), "")
        if token == row.default.token:
            values.pop(row.value.key, None)
        elif token:
            name = spelled(row.value.text)
            values[row.value.key] = ValueChoice.from_token(token, name)

    def rows(self, column: ColumnOfValues) -> list[tuple[ValueRow, forms.BoundField]]:
        """Each value with its select, for the page."""
        return [(row, self[_name(column, row)]) for row in column.rows]


def _name(column: ColumnOfValues, row: ValueRow) -> str:
    return f"value_{column.index}_{row.slug}"
