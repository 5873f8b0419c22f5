"""Reading what decides whether something happened to a lead or a deal.

These few statements run with every save, so each is built by the ORM once and then executed as it is.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldError
from django.db import connections
from django.db.models import QuerySet, Subquery

from crm.models.plans import kept

if TYPE_CHECKING:
    from crm.models.tracking import Tracked

CHUNK = 5_000  # rows per statement: little enough to hold in memory
ASKED = 0  # stands for the id of the next step while the statement is built: each use gives its own


@dataclass(frozen=True, slots=True)
class Moment:
    """A lead or deal as the database holds it: all that decides whether something happened."""

    company_id: int
    lead_id: int
    deal_id: int | None
    meaning: str | None
    owners: frozenset[int]
    contact: tuple[str, bool] | None
    amount: Decimal | None
    currency: str


def moments(model: "type[Tracked]", pks: Iterable[int], *, using: str, lock: bool = False) -> dict[int, Moment]:
    """The rows as they are now, by primary key; with `lock`, held until the transaction ends."""
    asked = list(pks)
    statement = _statement(model, using, lock, is_one=len(asked) == 1)
    return {row["pk"]: _moment(row) for row in statement.rows(connections[using], asked)}


def before_and_after(
    row: "Tracked", *, using: str, update_fields: Collection[str] | None
) -> tuple[Moment | None, Moment | None]:
    """The row as it is, locked, and as it will be once `row` is written. One statement.

    None for what is not known beforehand: no such row, or values that only the database can tell (expressions,
    amounts still to be rounded, another lead).
    """
    step_id = getattr(row, f"{row.step}_id")
    statement = _statement(type(row), using, lock=True, is_one=True, with_next_step=True)
    asked = step_id if _is_settled(step_id) else None
    found = next(statement.rows(connections[using], [row.pk], asked, asked), None)
    if found is None:
        return None, None
    next_step = {"meaning": found.pop("next_meaning"), "step_company": found.pop("next_company")}
    before = _moment(found)
    written = {name: getattr(row, name) for name in ("company_id", *row.moment_columns) if _writes(update_fields, name)}
    if not _writes(update_fields, f"{row.step}_id"):
        next_step, step_id = {}, None
    if not all(map(_is_settled, (step_id, *written.values()))) or any(
        name.endswith("_id") and value != found[name] for name, value in written.items()
    ):
        return before, None
    return before, _moment({**found, **next_step, **written})


def _writes(update_fields: Collection[str] | None, attname: str) -> bool:
    return update_fields is None or attname in update_fields or attname.removesuffix("_id") in update_fields


def _is_settled(value: Any) -> bool:
    """True if the database will hold this value as it stands."""
    if isinstance(value, Decimal):
        return value == round(value, 2)
    return value is None or isinstance(value, int | bool | str)


def chunks(pks: list[int]) -> Iterator[list[int]]:
    """The keys in lists short enough for one statement."""
    return (pks[start : start + CHUNK] for start in range(0, len(pks), CHUNK))


@dataclass(frozen=True, slots=True)
class _Statement:
    sql: str
    is_one: bool
    names: Sequence[str]
    convert: Callable[[Any], Iterable[Sequence[Any]]]

    def rows(self, connection: Any, pks: list[int], *first: Any) -> Iterator[dict[str, Any]]:
        many = pks if connection.vendor == "postgresql" else str(pks)
        with kept(connection), connection.cursor() as cursor:
            cursor.execute(self.sql, [*first, pks[0] if self.is_one else many])
            found = cursor.fetchall()
        return (dict(zip(self.names, row, strict=True)) for row in self.convert(found))


@cache
def _statement(
    model: "type[Tracked]", using: str, lock: bool, *, is_one: bool, with_next_step: bool = False
) -> _Statement:
    # Scalar subqueries and no joins: PostgreSQL re-checks a locked row against its newest version, and with a join
    # over the changing column it drops or doubles rows after it had to wait for the lock.
    subqueries: dict[str, Any] = model.moment_subqueries()
    if with_next_step:
        next_step = model.step_model()._default_manager.filter(pk=ASKED).order_by()
        subqueries.update({f"next_{name}": Subquery(next_step.values(name)) for name in ("meaning", "company")})
    names = ["pk", "company_id", *model.moment_columns, *subqueries]
    rows: QuerySet[Any] = QuerySet(model, using=using).annotate(**subqueries).order_by().values_list(*names)
    compiler = rows.query.get_compiler(using)
    sql, params = compiler.as_sql()
    if params != (ASKED,) * (2 if with_next_step else 0):
        raise FieldError("A moment is read by a statement without parameters of its own.")
    key = f'"{model._meta.db_table}"."{model._meta.pk.column}"'
    is_postgresql = connections[using].vendor == "postgresql"
    one_of = "= ANY(%s::bigint[])" if is_postgresql else "IN (SELECT value FROM json_each(%s))"
    # For one row PostgreSQL keeps its plan; for an array of unknown length it makes a new one each time.
    which = "= %s" if is_one else one_of
    hold = " FOR NO KEY UPDATE" if lock and is_postgresql else ""
    converters = compiler.get_converters([expression for expression, _, _ in compiler.select])

    def convert(found: Any) -> Iterable[Sequence[Any]]:
        converted: Iterable[Sequence[Any]] = compiler.apply_converters(found, converters) if converters else found
        return converted

    order = "" if is_one else f" ORDER BY {key}"
    return _Statement(f"{sql} WHERE {key} {which}{order}{hold}", is_one, names, convert)


def _moment(row: dict[str, Any]) -> Moment:
    is_deal = "lead_id" in row
    return Moment(
        company_id=row["company_id"],
        lead_id=row["lead_id"] if is_deal else row["pk"],
        deal_id=row["pk"] if is_deal else None,
        meaning=row["meaning"],
        owners=frozenset({row["step_company"], row.get("lead_company")} - {None}),
        contact=None if is_deal else (row["email"], row["share_with_ad_platforms"]),
        amount=row.get("amount"),
        currency=row.get("currency", ""),
    )
