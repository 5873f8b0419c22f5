"""Snapshots of leads and deals, from which CRM events are derived.

These statements run on every save, so the ORM builds each one once and the SQL is reused.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import FieldError
from django.db import connections
from django.db.models import QuerySet
from django.db.models.expressions import RawSQL
from django.db.models.sql import UpdateQuery

if TYPE_CHECKING:
    from crm.models.tracking.tracked import Tracked

CHUNK = 5_000  # rows per statement: few enough to hold in memory


@dataclass(frozen=True, slots=True)
class RowSnapshot:
    """The columns of a lead or deal that decide which CRM events a change causes, and whose changes are kept."""

    company_id: int
    lead_id: int
    deal_id: int | None
    step_id: int
    meaning: str | None
    owner_id: int | None
    owners: frozenset[int]
    contact: tuple[str, bool] | None
    amount: Decimal | None
    currency: str
    lost_reason_id: int | None


def snapshots(
    model: "type[Tracked]", pks: Iterable[int], *, using: str, lock: bool = False
) -> dict[int, RowSnapshot]:
    """The rows as they are now, by primary key. With `lock`, they stay locked until the transaction ends."""
    connection = connections[using]
    param: Any = list(pks)
    is_one = len(param) == 1
    if is_one:
        (param,) = param
    columns = _columns(model, using)
    with prepared_statements(connection), connection.cursor() as cursor:
        cursor.execute(_select(model, using, lock, is_one), [param])
        return columns.snapshots(cursor.fetchall())


def update(
    model: "type[Tracked]", pk: int, values: Sequence[Any], *, using: str
) -> tuple[dict[int, RowSnapshot], dict[int, RowSnapshot]]:
    """Write `values` (as passed to `Model._do_update`) to the row, unless it must not be written (`writable`).

    Returns the row before and after, by primary key; empty if nothing was written. A single statement. Requires
    `supports_returning_old`.
    """
    connection = connections[using]
    params: Sequence[Any]
    if any(hasattr(value, "resolve_expression") for _, _, value in values):
        sql, params = _update(model, using, pk, values)
    else:
        sql = _update_of_values(
            model, using, tuple(field.name for field, _, _ in values)
        )
        params = [
            *(field.get_db_prep_save(value, connection) for field, _, value in values),
            pk,
        ]
    columns = _columns(model, using)
    with prepared_statements(connection), connection.cursor() as cursor:
        cursor.execute(sql, params)
        rows_returned = cursor.fetchall()
    width = len(columns.names)
    before, after = (
        [row[:width] for row in rows_returned],
        [row[width:] for row in rows_returned],
    )
    return columns.snapshots(before), columns.snapshots(after)


def supports_returning_old(connection: Any) -> bool:
    """True if an UPDATE can return the row both before and after, as PostgreSQL can since version 18.

    OLD and NEW: https://www.postgresql.org/docs/18/dml-returning.html. OLD is the version that this UPDATE replaced,
    even if it had to wait for another transaction that changed the row.
    """
    return bool(connection.pg_version >= 180_000)


def chunks(pks: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield the keys in sequences of at most CHUNK."""
    return (pks[start : start + CHUNK] for start in range(0, len(pks), CHUNK))


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of a RowSnapshot, as SQL."""

    names: Sequence[str]
    texts: Sequence[str]
    select: str  # the SELECT without its WHERE clause
    convert: Callable[[Any], Iterable[Sequence[Any]]]

    def of(self, version: str) -> str:
        """The columns for RETURNING, of the "old" or "new" row."""
        table = self.texts[0].partition(".")[0]
        return ", ".join(
            text.replace(f"{table}.", f"{version}.") for text in self.texts
        )

    def snapshots(self, rows: Sequence[Any]) -> dict[int, RowSnapshot]:
        named = (dict(zip(self.names, row, strict=True)) for row in self.convert(rows))
        return {row["pk"]: _snapshot(row) for row in named}


@cache
def _columns(model: "type[Tracked]", using: str) -> _Columns:
    # Scalar subqueries, not joins: after waiting for a lock, PostgreSQL checks the row's newest version again, and a
    # join on the changed column would drop or duplicate rows.
    subqueries = model.snapshot_subqueries()
    names = ["pk", "company_id", *model.snapshot_columns, *subqueries]
    rows: QuerySet[Any] = (
        QuerySet(model, using=using)
        .annotate(**subqueries)
        .order_by()
        .values_list(*names)
    )
    compiler = rows.query.get_compiler(using)
    select, params = compiler.as_sql()
    if params:
        raise FieldError("The statement of a snapshot can't have parameters.")
    converters = compiler.get_converters(
        [expression for expression, _, _ in compiler.select]
    )

    def convert(rows: Any) -> Iterable[Sequence[Any]]:
        converted: Iterable[Sequence[Any]] = (
            compiler.apply_converters(rows, converters) if converters else rows
        )
        return converted

    return _Columns(
        names, [text for _, (text, _), _ in compiler.select], select, convert
    )


@cache
def _select(model: "type[Tracked]", using: str, lock: bool, is_one: bool) -> str:
    columns = _columns(model, using)
    key = columns.texts[0]
    # PostgreSQL keeps its plan for a single key, but plans again each time for an array of unknown length.
    condition = "= %s" if is_one else "= ANY(%s::bigint[])"
    order = "" if is_one else f" ORDER BY {key}"
    locking = " FOR NO KEY UPDATE" if lock else ""
    return f"{columns.select} WHERE {key} {condition}{order}{locking}"


@lru_cache(maxsize=500)  # limited: often a caller chooses which fields a save writes
def _update_of_values(
    model: "type[Tracked]", using: str, names: tuple[str, ...]
) -> str:
    """The UPDATE of these fields of one row. Parameters: [their values, key].

    Built once: Django takes a third of a save's CPU time to build it again.
    """
    sql, params = _update(
        model,
        using,
        0,
        [(model._meta.get_field(name), None, RawSQL("%s", [0])) for name in names],
    )
    if len(params) > len(names) + 1:
        raise FieldError(
            "The condition on which a row may be written can't have parameters."
        )
    return sql


def _update(
    model: "type[Tracked]", using: str, pk: int, values: Sequence[Any]
) -> tuple[str, Sequence[Any]]:
    query: Any = (
        model._base_manager.using(using)
        .filter(model.writable, pk=pk)
        .query.chain(UpdateQuery)
    )
    query.add_update_fields(values)
    sql, params = query.get_compiler(using).as_sql()
    columns = _columns(model, using)
    return f"{sql} RETURNING {columns.of('old')}, {columns.of('new')}", params


def _snapshot(row: dict[str, Any]) -> RowSnapshot:
    is_deal = "lead_id" in row
    # See `Tracked.snapshot_subqueries`.
    company_of_step, _, meaning = (row["step"] or "").partition(" ")
    return RowSnapshot(
        company_id=row["company_id"],
        lead_id=row["lead_id"] if is_deal else row["pk"],
        deal_id=row["pk"] if is_deal else None,
        step_id=row["stage_id"] if is_deal else row["status_id"],
        meaning=meaning or None,
        owner_id=row["owner_id"],
        owners=frozenset(
            int(owner) for owner in (company_of_step, row.get("lead_company")) if owner
        ),
        contact=None if is_deal else (row["email"], row["share_with_ad_platforms"]),
        amount=row.get("amount"),
        currency=row.get("currency", ""),
        lost_reason_id=row.get("lost_reason_id"),
    )


# Prepared statements

PREPARE_THRESHOLD: Final = 5  # uses of a statement before it is prepared


@contextmanager
def prepared_statements(connection: Any) -> Iterator[None]:
    """Let PostgreSQL reuse the plans of repeated statements in this block, which cuts the time of a save by a third.

    Only for statements whose plan does not depend on their values. For a list of events in one state, a generic plan
    would ignore the partial indexes and read millions of other companies' rows to find none.
    """
    connection.ensure_connection()
    driver = connection.connection
    driver.prepare_threshold = PREPARE_THRESHOLD
    try:
        yield
    finally:
        driver.prepare_threshold = None
