"""The column of custom values in SQL: writing some of its keys, and filtering by one.

PostgreSQL's index (GIN over rows that have any value) serves `holds`: a choice, yes or no. Anything else is compared
row by row within the company.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from django.db.models import (
    BooleanField,
    Case,
    DecimalField,
    Expression,
    F,
    Func,
    JSONField,
    Q,
    When,
)
from django.db.models import Value as SqlValue
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast
from django.db.models.lookups import (
    Contains,
    GreaterThanOrEqual,
    LessThanOrEqual,
    Regex,
)

from crm.models.custom_field import CustomField, FieldType
from crm.models.custom_values import NUMBER_DECIMALS, NUMBER_DIGITS, Value
from crm.search.conditions import NOTHING, is_unfindable
from crm.search.folding import Folded, folded

COLUMN: Final = "custom"
# Another company's field with the same key may be a text. PostgreSQL may read its rows first, and must not cast them.
_NUMBER: Final = rf"^-?[0-9]{{1,{NUMBER_DIGITS}}}([.][0-9]{{1,{NUMBER_DECIMALS}}})?$"
_DECIMAL: Final = DecimalField(
    max_digits=NUMBER_DIGITS + NUMBER_DECIMALS, decimal_places=NUMBER_DECIMALS
)


class _WithKeysSet(Func):
    template = "jsonb_strip_nulls(%(expressions)s)"
    arg_joiner = " || "
    output_field = JSONField()


class _Holds(Func):
    """True if the column has this value for the key, or a list with this choice."""

    output_field = BooleanField()

    def __init__(self, column: Any, key: str, value: Value, **extra: Any) -> None:
        super().__init__(column, **extra)
        self.key, self.value = key, value

    def as_sql(self, compiler: Any, connection: Any, **extra: Any) -> Any:  # type: ignore[override]
        column, params = compiler.compile(self.source_expressions[0])
        return f"{column} @> %s::jsonb", [*params, json.dumps({self.key: self.value})]


def with_keys_set(values: Mapping[str, Value | None]) -> Expression:
    """The column with these keys set, or removed where the value is None. Other keys stay as they are in the row."""
    return _WithKeysSet(F(COLUMN), SqlValue(dict(values), output_field=JSONField()))


def has_value(field: CustomField) -> Q:
    """Rows that have a value of the field."""
    return Q(**{f"{COLUMN}__has_key": field.key})


def holds(field: CustomField, value: str | bool) -> Q:
    """Rows whose value is this, or whose list has this choice."""
    wanted: Value = [str(value)] if field.type == FieldType.CHOICES else value
    # `~Q(custom={})` is the condition of the index.
    return ~Q(**{COLUMN: {}}) & Q(_Holds(F(COLUMN), field.key, wanted))


def contains_text(field: CustomField, text: str) -> Q:
    """Rows whose text contains this one, whatever its case and accents; none for accents alone."""
    if is_unfindable(text):
        return NOTHING
    return Q(Contains(Folded(_text(field)), folded(text)))


def between(field: CustomField, low: str | None, high: str | None) -> Q:
    """Rows whose date, number or amount is in this range, bounds included. The bounds are in normal form."""
    is_date = field.type == FieldType.DATE
    value, bound = (_text(field), str) if is_date else (_number(field), _decimal)
    condition = Q() if low is None else Q(GreaterThanOrEqual(value, bound(low)))
    if high is None:
        return condition
    return condition & Q(LessThanOrEqual(value, bound(high)))


def _text(field: CustomField) -> Any:
    return KeyTextTransform(field.key, COLUMN)


def _number(field: CustomField) -> Any:
    return Case(When(Regex(_text(field), _NUMBER), then=Cast(_text(field), _DECIMAL)))


def _decimal(text: str) -> Any:
    return SqlValue(Decimal(text), output_field=_DECIMAL)
