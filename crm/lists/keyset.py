"""Pages of a long list, each found by the row where the last one ended.

Every page costs the same, however far into the list, and rows added meanwhile shift no page. The URL names the row by
its id: the values that the list is sorted by may be names of people.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar

from django.db.models import Case, F, IntegerField, Model, QuerySet, Value, When
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan

from crm.models.validators import is_number

COUNTED_UP_TO: Final = 10_000

M = TypeVar("M", bound=Model)


class Order(ABC):
    """What a list is sorted by: fields, and then the id."""

    @property
    @abstractmethod
    def names(self) -> Sequence[str]:
        """The fields whose values are a position in the list. `owner__first_name` is one of a related row."""

    @abstractmethod
    def take(
        self,
        rows: QuerySet[M],
        count: int,
        *,
        beyond: Sequence[Any] | None = None,
        is_reversed: bool = False,
    ) -> list[M]:
        """The first rows after a position, or before it; without one, from the beginning of the list."""

    @abstractmethod
    def whole(self, rows: QuerySet[M]) -> QuerySet[M]:
        """All rows in this order."""

    def position(self, row: Model) -> Sequence[Any]:
        """Where this row is in the list."""
        return [attrgetter(name.replace("__", "."))(row) for name in self.names]


@dataclass(frozen=True)
class ByFields(Order):
    """By the fields, none of them NULL and all of them in an index, and then by id.

    `within` is true of all rows. It names the company where the index is that of a related table.
    """

    fields: Sequence[str] = ()
    is_descending: bool = True
    within: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> Sequence[str]:
        return (*self.fields, "pk")

    def take(
        self,
        rows: QuerySet[M],
        count: int,
        *,
        beyond: Sequence[Any] | None = None,
        is_reversed: bool = False,
    ) -> list[M]:
        is_descending = self.is_descending != is_reversed
        if beyond is not None:
            # One comparison of tuples, for which PostgreSQL uses an index. It would not for comparisons joined by OR.
            lookup = TupleLessThan if is_descending else TupleGreaterThan
            rows = rows.filter(lookup(Tuple(*map(F, self.names)), tuple(beyond)))
        return list(self._sorted(rows, is_descending=is_descending)[:count])

    def whole(self, rows: QuerySet[M]) -> QuerySet[M]:
        return self._sorted(rows, is_descending=self.is_descending)

    def _sorted(self, rows: QuerySet[M], *, is_descending: bool) -> QuerySet[M]:
        return rows.filter(**self.within).order_by(*self._sorting(is_descending))

    def sorting(self) -> Sequence[str]:
        """What the rows are sorted by, as `order_by` takes it."""
        return self._sorting(self.is_descending)

    def _sorting(self, is_descending: bool) -> Sequence[str]:
        return [f"-{name}" if is_descending else name for name in self.names]


@dataclass(frozen=True)
class InParts(Order):
    """One part of the rows after the other, each with its condition and its own order.

    A query for each part until there are enough rows: sorted by a column of another table, all rows would be read.
    """

    @abstractmethod
    def parts(self) -> Sequence[tuple[Mapping[str, Any], ByFields]]:
        """The conditions and orders of the parts, in the order of the list."""

    @abstractmethod
    def part_of(self, position: Sequence[Any]) -> int | None:
        """The index of the part that the position is in; None if there is none."""

    @abstractmethod
    def inside(self, position: Sequence[Any]) -> Sequence[Any]:
        """The position within its part."""

    def take(
        self,
        rows: QuerySet[M],
        count: int,
        *,
        beyond: Sequence[Any] | None = None,
        is_reversed: bool = False,
    ) -> list[M]:
        parts = list(enumerate(self.parts()))
        start = None if beyond is None else self.part_of(beyond)
        if is_reversed:
            parts.reverse()
        found: list[M] = []
        for index, (condition, order) in parts:
            if start is not None and (index > start if is_reversed else index < start):
                continue
            place = (
                self.inside(beyond) if beyond is not None and index == start else None
            )
            left = count - len(found)
            found += order.take(
                rows.filter(**condition), left, beyond=place, is_reversed=is_reversed
            )
            if len(found) == count:
                break
        return found

    def whole(self, rows: QuerySet[M]) -> QuerySet[M]:
        """In one statement: a row that moves to another part meanwhile is read once.

        All parts sort by the fields of the first one; what it has and they lack is NULL there.
        """
        parts = self.parts()
        if not parts:
            return rows.none()
        numbers = (
            When(**condition, then=Value(number))
            for number, (condition, _) in enumerate(parts)
        )
        _, order = parts[0]
        part = Case(*numbers, output_field=IntegerField())
        in_parts: QuerySet[Any] = rows.alias(part=part).filter(part__gte=0)
        return in_parts.order_by("part", *order.sorting())


@dataclass(frozen=True)
class ByGroup(InParts):
    """By a foreign key, whose values (None for NULL) are `groups` in their order, and then by id."""

    field: str
    groups: Sequence[int | None]
    is_descending: bool = True

    @property
    def names(self) -> Sequence[str]:
        return (self.field, "pk")

    def parts(self) -> Sequence[tuple[Mapping[str, Any], ByFields]]:
        order = ByFields((), self.is_descending)
        return [
            (
                {f"{self.field}__isnull": True}
                if group is None
                else {self.field: group},
                order,
            )
            for group in self._in_order()
        ]

    def part_of(self, position: Sequence[Any]) -> int | None:
        groups = self._in_order()
        return groups.index(position[0]) if position[0] in groups else None

    def inside(self, position: Sequence[Any]) -> Sequence[Any]:
        return position[1:]

    def _in_order(self) -> list[int | None]:
        return [*reversed(self.groups)] if self.is_descending else [*self.groups]


@dataclass(frozen=True)
class EmptyLast(InParts):
    """By a field that may be NULL: rows without a value come last, whichever way the others are sorted."""

    field: str
    is_descending: bool = True

    @property
    def names(self) -> Sequence[str]:
        return (self.field, "pk")

    def parts(self) -> Sequence[tuple[Mapping[str, Any], ByFields]]:
        is_empty = f"{self.field}__isnull"
        return [
            ({is_empty: False}, ByFields((self.field,), self.is_descending)),
            ({is_empty: True}, ByFields((), self.is_descending)),
        ]

    def part_of(self, position: Sequence[Any]) -> int | None:
        return 1 if position[0] is None else 0

    def inside(self, position: Sequence[Any]) -> Sequence[Any]:
        return position[1:] if position[0] is None else position


@dataclass(frozen=True)
class KeysetPage(Generic[M]):
    """A page of rows. `previous` and `next`: the ids to read backwards and on from; None if there is no more.

    `count` stops at COUNTED_UP_TO + 1.
    """

    rows: Sequence[M]
    count: int
    previous: int | None
    next: int | None

    def __iter__(self) -> Iterator[M]:
        return iter(self.rows)

    @property
    def is_counted(self) -> bool:
        return self.count <= COUNTED_UP_TO

    @property
    def counted_up_to(self) -> int:
        return min(self.count, COUNTED_UP_TO)


def page_of(
    rows: QuerySet[M],
    order: Order,
    *,
    size: int,
    known: QuerySet[M],
    after: str = "",
    before: str = "",
) -> KeysetPage[M]:
    """The page after or before the row with this id, or the first one.

    The row is looked for among `known`, because it may have left the list since. If it is gone altogether, or is
    another company's, the first page is returned.
    """
    row = _row(known, after or before)
    page = None
    if row is not None:
        page_beyond = _page_after if after else _page_before
        page = page_beyond(rows, order, order.position(row), size)
    return _first_page(rows, order, size) if page is None else page


def _first_page(rows: QuerySet[M], order: Order, size: int) -> KeysetPage[M]:
    found = order.take(rows, size + 1)
    return _page(rows, found[:size], has_previous=False, has_next=len(found) > size)


def _page_after(
    rows: QuerySet[M], order: Order, position: Sequence[Any], size: int
) -> KeysetPage[M] | None:
    """The page after this position; None if no rows are left there."""
    found = order.take(rows, size + 1, beyond=position)
    if not found:
        return None
    return _page(rows, found[:size], has_previous=True, has_next=len(found) > size)


def _page_before(
    rows: QuerySet[M], order: Order, position: Sequence[Any], size: int
) -> KeysetPage[M] | None:
    """The page before this position; None if there is at most one page of rows, because the first page is full."""
    found = order.take(rows, size + 1, beyond=position, is_reversed=True)
    if len(found) <= size:
        return None
    return _page(rows, found[:size][::-1], has_previous=True, has_next=True)


def _page(
    rows: QuerySet[M], found: Sequence[M], *, has_previous: bool, has_next: bool
) -> KeysetPage[M]:
    return KeysetPage(
        rows=found,
        count=rows.order_by()[: COUNTED_UP_TO + 1].count(),
        previous=found[0].pk if has_previous else None,
        next=found[-1].pk if has_next else None,
    )


def _row(known: QuerySet[M], pk: str) -> M | None:
    """The row with this id; None if there is none."""
    return known.filter(pk=pk).first() if is_number(pk) else None
