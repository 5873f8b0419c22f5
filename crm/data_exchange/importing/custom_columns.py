"""Custom fields as columns of a file. Each is named `custom.` and its key, next to the built-in fields."""

from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Final

from django.core.exceptions import ValidationError

from crm.data_exchange.importing.cells import NO, YES, Cell, let_go_of_rows
from crm.data_exchange.importing.column_readings import ColumnReading
from crm.lists.columns import CUSTOM
from crm.models import (
    Company,
    CustomField,
    Deal,
    FieldType,
    Lead,
    RowProblem,
)
from crm.models.custom_field import FREE_TEXT
from crm.models.custom_values import form_field
from crm.models.dates import date_readings, time_of
from crm.models.numbers import number_readings

# Suffix of the time of the day in a column of dates.
TIME: Final = "_time"
PROBLEMS: Final = {
    FieldType.NUMBER: RowProblem.NOT_A_NUMBER,
    FieldType.MONEY: RowProblem.NOT_A_NUMBER,
    FieldType.DATE: RowProblem.NOT_A_DATE,
    FieldType.YES_NO: RowProblem.NOT_YES_OR_NO,
    FieldType.URL: RowProblem.NOT_A_URL,
}


def custom_columns(
    company: Company, subject: str, typed: Mapping[str, CustomField]
) -> dict[str, CustomField]:
    """The custom fields that a column can be, with the `typed` built-in ones. One query."""
    own = CustomField.objects.of(company, subject).in_use()
    return {**typed, **{CUSTOM + field.key: field for field in own}}


def no_problem(value: Any) -> str:
    return ""


class CellReader:
    """Reads the cells of one custom field without choices, or of a built-in one that is a number or a date.

    `problem_of` returns the `RowProblem` of a value that can't be stored. With `keeps_time`, a date with a time of the
    day gives that, too, by the name of the field and TIME. Empty cells of required fields pass:
    `RowReader.lacks` checks them.
    """

    def __init__(
        self,
        name: str,
        field: CustomField,
        reading: ColumnReading,
        problem_of: Callable[[Any], str] = no_problem,
        *,
        keeps_time: bool = False,
    ) -> None:
        self._field, self._name, self._reading = field, name, reading
        self._problem_of, self._keeps_time = problem_of, keeps_time
        # Once: to make one takes longer than to read a cell.
        self._form_field = form_field(field, is_required=False)

    def __call__(self, cell: str) -> Cell:
        match self._field.type:
            case FieldType.NUMBER | FieldType.MONEY:
                return self._number(cell)
            case FieldType.DATE:
                return self._date(cell)
        return self._value(self._as_in_a_form(cell.strip()), "")

    def _value(self, entered: Any, doubt: str) -> Cell:
        try:
            value = self._form_field.clean(entered)
        except ValidationError as error:
            let_go_of_rows(error)
            return {}, self._problem(error)
        if value is None:
            return {}, doubt
        problem = self._problem_of(value)
        return ({}, problem) if problem else ({self._name: value}, doubt)

    def _number(self, cell: str) -> Cell:
        found = number_readings(cell)
        number, is_doubtful = found.by(self._reading.convention)
        if number is None:
            return (
                {},
                RowProblem.NUMBER_UNCLEAR
                if found.is_ambiguous
                else RowProblem.NOT_A_NUMBER,
            )
        stored = rounded(number, self._form_field)
        doubt = (
            RowProblem.NUMBER_DOUBTFUL
            if is_doubtful
            else RowProblem.ROUNDED
            if stored != number
            else ""
        )
        return self._value(stored, doubt)

    def _date(self, cell: str) -> Cell:
        found = date_readings(cell)
        day, is_doubtful = found.by(self._reading.convention)
        if day is None:
            return (
                {},
                RowProblem.DATE_UNCLEAR
                if found.is_ambiguous
                else RowProblem.NOT_A_DATE,
            )
        values, problem = self._value(
            day.isoformat(), RowProblem.DATE_DOUBTFUL if is_doubtful else ""
        )
        clock = time_of(cell) if values and self._keeps_time else None
        if clock is not None:
            values[self._name + TIME] = clock
        return values, problem

    def _as_in_a_form(self, cell: str) -> Any:
        """The cell as a form would send it."""
        if self._field.type != FieldType.YES_NO:
            return cell
        answer = cell.casefold()
        return "yes" if answer in YES else "no" if answer in NO else cell

    def _problem(self, error: ValidationError) -> RowProblem:
        is_too_long = self._field.type in FREE_TEXT and any(
            each.code == "max_length" for each in error.error_list
        )
        return (
            RowProblem.TOO_LONG
            if is_too_long
            else PROBLEMS.get(FieldType(self._field.type), RowProblem.NOT_A_TEXT)
        )


def rounded(number: Decimal, form_field: Any) -> Decimal:
    """The number with as many decimals as the field has. One with too many digits for it stays as it is."""
    try:
        return number.quantize(
            Decimal(1).scaleb(-form_field.decimal_places), ROUND_HALF_UP
        )
    except InvalidOperation:
        return number


# The values of a row by field name. Those of custom fields are on the same level, not in `custom` as on a lead.


def as_columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a row by attribute of `Lead`, without tags."""
    columns: dict[str, Any] = {}
    for name, value in values.items():
        if name.startswith(CUSTOM):
            columns.setdefault("custom", {})[name.removeprefix(CUSTOM)] = value
        elif name == "status":
            columns["status_id"] = value.pk
        elif name != "tags":
            columns[name] = value
    return columns


def column_names(names: Iterable[str]) -> set[str]:
    """The columns that store these fields."""
    return {"custom" if name.startswith(CUSTOM) else name for name in names}


def value_of(record: Lead | Deal, name: str) -> Any:
    """The record's value of this field."""
    if name.startswith(CUSTOM):
        return record.custom.get(name.removeprefix(CUSTOM))
    return getattr(record, name)


def set_value(record: Lead | Deal, name: str, value: Any) -> None:
    if name.startswith(CUSTOM):
        record.custom[name.removeprefix(CUSTOM)] = value
    else:
        setattr(record, name, value)
