"""Writes many rows at once. `bulk_create` and `bulk_update` spend most of their time in Django itself.

New rows go by COPY, and changes as one JSON document that an UPDATE reads as a table. Nothing here is tracked: leads
are written through `TrackedQuerySet`.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from django.core.exceptions import FieldError
from django.db import connections, models

# Looks the sequence up once. As an argument of nextval(), it is looked up for each key: that takes three times as long.
KEYS: Final = (
    "SELECT nextval(sequence) FROM (SELECT pg_get_serial_sequence(%s, %s)::regclass AS sequence OFFSET 0) AS found, "
    "generate_series(1, %s)"
)
COPY: Final = "COPY {table} ({columns}) FROM STDIN"
UPDATE: Final = (
    "UPDATE {table} SET {changes} FROM json_to_recordset(%s) AS new ({types}) WHERE "
    "{table}.{key} = new.{key}"
)
EMPTY: Final[dict[type, str]] = {dict: "{}", list: "[]"}  # as JSON
ONE_OF_ARRAY: Final = "{} = ANY(%s::text[])"
COUNTED: Final = "SELECT reltuples FROM pg_class WHERE oid = %s::regclass"
ANALYZE: Final = "ANALYZE (SKIP_LOCKED) {}"
GROWTH: Final = 4

M = TypeVar("M", bound=models.Model)
# The values of a row, in the order of the fields that are named with it.
Row = Sequence[Any]


def new_keys(model: type[models.Model], count: int, *, using: str) -> list[int]:
    """Keys for new rows, from the table's sequence."""
    key: Any = model._meta.pk
    with connections[using].cursor() as cursor:
        cursor.execute(KEYS, [model._meta.db_table, key.column, count])
        return [pk for (pk,) in cursor.fetchall()]


def count_again(model: type[models.Model], added: int, *, using: str) -> None:
    """Have PostgreSQL analyse a table if `added` rows, just added, are far more than it believes the table to have.

    Autovacuum does so only once a minute. Until then, PostgreSQL checks foreign keys with its plan for a small table,
    which reads all keys of the company: 0.3 ms for each new lead among 20,000, instead of 0.01 ms.
    """
    connection = connections[using]
    table = connection.ops.quote_name(model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(COUNTED, [table])
        (counted,) = cursor.fetchone()
        if GROWTH * counted < added:
            count_now(model, "id", using=using)  # the other columns don't matter here


def count_now(model: type[models.Model], *names: str, using: str) -> None:
    """Have PostgreSQL analyse a table to which many rows of a company were added: pages then get good query plans.

    With names of fields, it reads only these: others may be long texts.
    """
    connection = connections[using]
    quote = connection.ops.quote_name
    target = quote(model._meta.db_table)
    if names:
        columns = ", ".join(quote(_field(model, name).column) for name in names)
        target += f" ({columns})"
    with connection.cursor() as cursor:
        cursor.execute(ANALYZE.format(target))


def insert_rows(
    model: type[models.Model], names: Sequence[str], rows: Iterable[Row], *, using: str
) -> int:
    """Insert rows with these values, and return how many.

    Values can't be expressions; omitted fields need a default in the database. `rows` is read while the database
    writes, so it must not query the database itself.
    """
    connection = connections[using]
    fields = [_field(model, name) for name in names]
    columns = ", ".join(connection.ops.quote_name(field.column) for field in fields)
    statement = COPY.format(
        table=connection.ops.quote_name(model._meta.db_table), columns=columns
    )
    execute: Callable[..., int] = partial(_copy, _with_json(fields, rows))
    # As Django does: the watchdog waits for a sign of life.
    for wrapper in reversed(connection.execute_wrappers):
        execute = partial(wrapper, execute)
    with connection.cursor() as cursor:
        return execute(
            statement, None, False, {"connection": connection, "cursor": cursor}
        )


def _copy(
    rows: Iterable[Row],
    statement: str,
    params: None,
    many: bool,
    context: Mapping[str, Any],
) -> int:
    count = 0
    with (
        context["connection"].wrap_database_errors,
        context["cursor"].copy(statement) as copy,
    ):
        for row in rows:
            copy.write_row(row)
            count += 1
    return count


def update_rows(
    model: type[models.Model],
    names: Sequence[str],
    rows: Mapping[int, Row],
    *,
    using: str,
    same: Mapping[str, models.Expression] | None = None,
) -> None:
    """Write these values into the rows with these keys, and the expressions of `same` into all of them."""
    if not rows:
        return
    connection = connections[using]
    quote = connection.ops.quote_name
    key: Any = model._meta.pk
    fields = [_field(model, name) for name in names]
    kinds = {key.column: key.rel_db_type(connection)}
    kinds |= {field.column: field.db_type(connection) for field in fields}
    values = {field.column: f"new.{quote(field.column)}" for field in fields}
    values |= _compiled(model, same or {}, using)
    statement = UPDATE.format(
        table=quote(model._meta.db_table),
        key=quote(key.column),
        changes=", ".join(f"{quote(name)} = {sql}" for name, sql in values.items()),
        types=", ".join(f"{quote(name)} {kind}" for name, kind in kinds.items()),
    )
    document = [dict(zip(kinds, (pk, *row), strict=True)) for pk, row in rows.items()]
    with connection.cursor() as cursor:
        cursor.execute(statement, [json.dumps(document, default=str)])


def _compiled(
    model: type[models.Model], expressions: Mapping[str, models.Expression], using: str
) -> dict[str, str]:
    """The SQL of these expressions, by column."""
    compiler = models.QuerySet(model, using=using).query.get_compiler(using)
    result = {}
    for name, expression in expressions.items():
        sql, parameters = compiler.compile(expression)
        if parameters:
            raise FieldError("An expression for all rows can't have parameters.")
        result[_field(model, name).column] = sql
    return result


def _field(model: type[models.Model], name: str) -> Any:
    """The field of this name or, as in `company_id`, of this attribute."""
    return next(
        field
        for field in model._meta.concrete_fields
        if name in (field.name, field.attname)
    )


def _with_json(fields: Sequence[Any], rows: Iterable[Row]) -> Iterable[Row]:
    """The rows with the values of JSON fields encoded as text. Drivers write all other values as they are."""
    encoders: list[tuple[int, Callable[[Any], str]]] = [
        (index, (field.encoder or json.JSONEncoder)().encode)
        for index, field in enumerate(fields)
        if isinstance(field, models.JSONField)
    ]
    for row in rows:
        values = list(row)
        for index, encode in encoders:
            value = values[index]
            if value is None:
                continue
            is_empty = not value and type(value) in EMPTY
            values[index] = EMPTY[type(value)] if is_empty else encode(value)
        yield values


@models.CharField.register_lookup
class OneOfTexts(models.Lookup):
    """True for rows with one of these texts, all passed as one parameter: `filter(key__one_of_texts=keys)`.

    With an ordinary list, Django and psycopg would prepare each text as a parameter of its own.
    """

    lookup_name = "one_of_texts"
    prepare_rhs = False

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        text, parameters = self.process_lhs(compiler, connection)
        array = ",".join(map(_in_array, self.rhs))
        return ONE_OF_ARRAY.format(text), [*parameters, f"{{{array}}}"]


def _in_array(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
