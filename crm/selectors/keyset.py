"""Pages of a long list, each found by the row where the last one ended.

Every page costs the same, however far into the list, and rows added meanwhile shift no page. The URL names the row by
its id: the values that the list is sorted by may be names of people.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, Protocol, TypeVar

from django.db.models import F, Model, QuerySet
from django.db.models.fields.tuple_lookups import Tuple, TupleGreaterThan, TupleLessThan

from crm.models.validators import is_number

COUNTED_UP_TO: Final = 10_000

M = TypeVar("M", bound=Model)


class Order(Protocol):
    """What a list is sorted by."""

    def position(self, row: Model) -> Sequence[Any]:
        """Where this row is in the list."""

    def take(
        self, rows: QuerySet[M], count: int, *, beyond: Sequence[Any] | None = None, is_reversed: bool = False
    ) -> list[M]:
        """The first rows after a position, or before it; without one, from the beginning of the list."""

    def whole(self, rows: QuerySet[M]) -> Iterator[QuerySet[M]]:
        """All rows in this order, in one queryset after the other."""


@dataclass(frozen=True)
class ByFields:
    """By the fields, none of them NULL and all of them in an index, and then by id."""

    fields: Sequence[str] = ()
    is_descending: bool = True

    def position(self, row: Model) -> Sequence[Any]:
        return [getattr(row, field) for field in (*self.fields, "pk")]

    def take(
        self, rows: QuerySet[M], count: int, *, beyond: Sequence[Any] | None = None, is_reversed: bool = False
    ) -> list[M]:
        is_descending = self.is_descending != is_reversed
        names = (*self.fields, "pk")
        if beyond is not None:
            # One comparison of tuples, for which PostgreSQL uses an index. It would not for comparisons joined by OR.
            lookup = TupleLessThan if is_descending else TupleGreaterThan
            rows = rows.filter(lookup(Tuple(*map(F, names)), tuple(beyond)))
        return list(rows.order_by(*(f"-{name}" if is_descending else name for name in names))[:count])

    def whole(self, rows: QuerySet[M]) -> Iterator[QuerySet[M]]:
        yield rows.order_by(*(f"-{name}" if self.is_descending else name for name in (*self.fields, "pk")))


@dataclass(frozen=True)
class ByGroup:
    """By a foreign key, in the order of `groups`, its values (None for NULL), and then by id.

    A query for each group until there are enough rows: sorted by a column of the other table, all rows would be read.
    """

    field: str
    groups: Sequence[int | None]
    is_descending: bool = True

    def position(self, row: Model) -> Sequence[Any]:
        return [getattr(row, self.field), row.pk]

    def take(
        self, rows: QuerySet[M], count: int, *, beyond: Sequence[Any] | None = None, is_reversed: bool = False
    ) -> list[M]:
        is_descending = self.is_descending != is_reversed
        groups = list(reversed(self.groups)) if is_descending else list(self.groups)
        if beyond is not None and beyond[0] in groups:
            groups = groups[groups.index(beyond[0]) :]
        found: list[M] = []
        for group in groups:
            inside = self._inside(rows, group)
            if beyond is not None and group == beyond[0]:
                inside = inside.filter(pk__lt=beyond[1]) if is_descending else inside.filter(pk__gt=beyond[1])
            found += inside.order_by("-pk" if is_descending else "pk")[: count - len(found)]
            if len(found) == count:
                break
        return found

    def whole(self, rows: QuerySet[M]) -> Iterator[QuerySet[M]]:
        for group in reversed(self.groups) if self.is_descending else self.groups:
            yield self._inside(rows, group).order_by("-pk" if self.is_descending else "pk")

    def _inside(self, rows: QuerySet[M], group: int | None) -> QuerySet[M]:
        return rows.filter(**{f"{self.field}__isnull": True} if group is None else {self.field: group})


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
    rows: QuerySet[M], order: Order, *, size: int, known: QuerySet[M], after: str = "", before: str = ""
) -> KeysetPage[M]:
    """The page after or before the row with this id, or the first one.

    The row is looked for among `known`, because it may have left the list since. If it is gone altogether, or is
    another company's, the first page is returned.
    """
    row = _row(known, after or before)
    is_backwards = row is not None and not after
    beyond = None if row is None else order.position(row)
    found = order.take(rows, size + 1, beyond=beyond, is_reversed=is_backwards)
    has_more, found = len(found) > size, found[:size]
    if beyond is not None and (not found or (is_backwards and not has_more)):
        # No rows are left there, or fewer than a page has: return the first page, which is full.
        return page_of(rows, order, size=size, known=known)
    if is_backwards:
        found.reverse()
    has_previous, has_next = (has_more, True) if is_backwards else (beyond is not None, has_more)
    return KeysetPage(
        rows=found,
        count=rows.order_by()[: COUNTED_UP_TO + 1].count(),
        previous=found[0].pk if found and has_previous else None,
        next=found[-1].pk if found and has_next else None,
    )


def _row(known: QuerySet[M], pk: str) -> M | None:
    """The row with this id; None if there is none."""
    return known.filter(pk=pk).first() if is_number(pk) else None
