"""Reading what decides whether something happened to a lead or a deal.

These few statements run with every save, so each is built by the ORM once and then executed as it is.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from django.core.exceptions import FieldError
from django.db import connections
from django.db.models import QuerySet
from django.db.models.sql import UpdateQuery

if TYPE_CHECKING:
    from crm.models.tracking import Tracked
CHUNK = 5_000  # rows per statement: little enough to hold in memory


@dataclass(frozen=True, slots=True)
class RowSnapshot:
    """A lead or deal as the database holds it: all that decides whether something happened."""

    company_id: int
    lead_id: int
    deal_id: int | None
    meaning: str | None
    owners: frozenset[int]
    contact: tuple[str, bool] | None
    amount: Decimal | None
    currency: str


def snapshots(model: "type[Tracked]", pks: Iterable[int], *, using: str, lock: bool = False) -> dict[int, RowSnapshot]:
    """The rows as they are now, by primary key; with `lock`, held until the transaction ends."""
    connection = connections[using]
    asked: Any = list(pks)
    is_one = len(asked) == 1
    if is_one:
        (asked,) = asked
    elif connection.vendor != "postgresql":
        asked = str(asked)
    columns = _columns(model, using)
    with prepared_statements(connection), connection.cursor() as cursor:
        cursor.execute(_select(model, using, lock, is_one), [asked])
        return columns.moments(cursor.fetchall())


def update(rows: "QuerySet[Tracked]", values: Sequence[Any]) -> tuple[dict[int, RowSnapshot], dict[int, RowSnapshot]]:
    """Write these values, as `Model._do_update` has them. Gives the rows as they were and as they are, by primary key.

    One statement, for databases of which `supports_returning_old` is true.
    """
    query: Any = rows.query.chain(UpdateQuery)
    query.add_update_fields(values)
    sql, params = query.get_compiler(rows.db).as_sql()
    columns = _columns(rows.model, rows.db)
    connection = connections[rows.db]
    with prepared_statements(connection), connection.cursor() as cursor:
        cursor.execute(f"{sql} RETURNING {columns.of('old')}, {columns.of('new')}", params)
        found = cursor.fetchall()
    middle = len(columns.names)
    before, after = [row[:middle] for row in found], [row[middle:] for row in found]
    return columns.moments(before), columns.moments(after)


def supports_returning_old(connection: Any) -> bool:
    """True where an UPDATE can return its row as it was and as it is, as PostgreSQL's can since version 18.

    https://www.postgresql.org/docs/18/dml-returning.html: OLD and NEW. OLD is what this UPDATE replaced, also where it
    had to wait for another transaction that changed the row.
    """
    return bool(connection.vendor == "postgresql" and connection.pg_version >= 180_000)


def chunks(pks: list[int]) -> Iterator[list[int]]:
    """The keys in lists short enough for one statement."""
    return (pks[start : start + CHUNK] for start in range(0, len(pks), CHUNK))


@dataclass(frozen=True, slots=True)
class _Columns:
    """What a Moment is made of, as SQL."""

    names: Sequence[str]
    texts: Sequence[str]
    select: str  # them, from their table
    convert: Callable[[Any], Iterable[Sequence[Any]]]

    def of(self, version: str) -> str:
        """Them, for RETURNING: of the "old" row or of the "new" one."""
        table = self.texts[0].partition(".")[0]
        return ", ".join(text.replace(f"{table}.", f"{version}.") for text in self.texts)

    def moments(self, found: Sequence[Any]) -> dict[int, RowSnapshot]:
        rows = (dict(zip(self.names, row, strict=True)) for row in self.convert(found))
        return {row["pk"]: _moment(row) for row in rows}


@cache
def _columns(model: "type[Tracked]", using: str) -> _Columns:
    # Scalar subqueries and no joins: PostgreSQL re-checks a locked row against its newest version, and with a join
    # over the changing column it drops or doubles rows after it had to wait for the lock.
    subqueries = model.moment_subqueries()
    names = ["pk", "company_id", *model.moment_columns, *subqueries]
    rows: QuerySet[Any] = QuerySet(model, using=using).annotate(**subqueries).order_by().values_list(*names)
    compiler = rows.query.get_compiler(using)
    select, params = compiler.as_sql()
    if params:
        raise FieldError("A moment is read by a statement without parameters of its own.")
    converters = compiler.get_converters([expression for expression, _, _ in compiler.select])

    def convert(found: Any) -> Iterable[Sequence[Any]]:
        converted: Iterable[Sequence[Any]] = compiler.apply_converters(found, converters) if converters else found
        return converted

    return _Columns(names, [text for _, (text, _), _ in compiler.select], select, convert)


@cache
def _select(model: "type[Tracked]", using: str, lock: bool, is_one: bool) -> str:
    columns = _columns(model, using)
    key = columns.texts[0]
    is_postgresql = connections[using].vendor == "postgresql"
    one_of = "= ANY(%s::bigint[])" if is_postgresql else "IN (SELECT value FROM json_each(%s))"
    # For one row PostgreSQL keeps its plan; for an array of unknown length it makes a new one each time.
    which = "= %s" if is_one else one_of
    order = "" if is_one else f" ORDER BY {key}"
    hold = " FOR NO KEY UPDATE" if lock and is_postgresql else ""
    return f"{columns.select} WHERE {key} {which}{order}{hold}"


def _moment(row: dict[str, Any]) -> RowSnapshot:
    is_deal = "lead_id" in row
    return RowSnapshot(
        company_id=row["company_id"],
        lead_id=row["lead_id"] if is_deal else row["pk"],
        deal_id=row["pk"] if is_deal else None,
        meaning=row["meaning"],
        owners=frozenset({row["step_company"], row.get("lead_company")} - {None}),
        contact=None if is_deal else (row["email"], row["share_with_ad_platforms"]),
        amount=row.get("amount"),
        currency=row.get("currency", ""),
    )


# --- Which statements PostgreSQL plans once for each connection: those of a save, and no others.

USES_BEFORE: Final = 5  # of a statement, before it is kept


@contextmanager
def prepared_statements(connection: Any) -> Iterator[None]:
    """Within this, PostgreSQL keeps the plans of statements that come again: a third off every save.

    Only for statements that are planned as well without their values. Of a list of the events in one state it would
    forget the partial indexes, and read millions of rows of other companies to find that there is none.
    """
    if connection.vendor != "postgresql":
        yield
        return
    connection.ensure_connection()
    line = connection.connection
    line.prepare_threshold = USES_BEFORE
    try:
        yield
    finally:
        line.prepare_threshold = None
