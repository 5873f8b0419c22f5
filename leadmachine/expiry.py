"""The parts of `leadmachine.retention`: rows that are kept, and rows that are deleted a period after an event."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Model, Q, QuerySet

# Renews the claim; raises if it is lost or the worker is stopping.
Renew = Callable[[], None]
# Returns the keys, among those given, of rows that are still needed.
InUse = Callable[[Sequence[Any]], set[Any]]


@dataclass(frozen=True, slots=True)
class Period:
    """A retention period, in words and in days. The operator sets the log's."""

    words: str
    days: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Expires:
    """Rows that are deleted a period after an event (`since`, in words).

    `rows` returns the rows whose event was before a given time, and `in_use` selects those that must stay (`needed_by`
    says why, in words). `first` runs before any row is deleted, and renews the claim as often as necessary.
    """

    period: Period
    since: str
    rows: Callable[[datetime], Iterable[QuerySet[Any]]]
    in_use: Callable[[datetime], InUse] = lambda before: lambda pks: set()
    needed_by: str = ""
    first: Callable[[datetime, Renew], None] = lambda before, renew: None

    def __str__(self) -> str:
        return f"{self.period.words} after {self.since}" + (
            f", unless {self.needed_by}" if self.needed_by else ""
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """Rows that the housekeeping never deletes, and the reason."""

    because: str

    def __str__(self) -> str:
        return self.because


def where(
    model: type[Model], *conditions: Q, at: str
) -> Callable[[datetime], list[QuerySet[Any]]]:
    """Return the rows that meet the conditions and whose `at` column is before the given time."""
    return lambda before: [QuerySet(model).filter(*conditions, **{f"{at}__lt": before})]


def in_order(
    model: type[Model], *conditions: Q, at: str
) -> Callable[[datetime], list[QuerySet[Any]]]:
    """Like `where`, for a large table that is written in order of time: reads only up to the first row to keep.

    An old row that was inserted after that one, as in the demo, is deleted only when that one is.
    """

    def rows(before: datetime) -> list[QuerySet[Any]]:
        young = (
            QuerySet(model)
            .filter(**{f"{at}__gte": before})
            .order_by("pk")
            .values_list("pk", flat=True)
            .first()
        )
        [old] = where(model, *conditions, at=at)(before)
        return [old if young is None else old.filter(pk__lt=young)]

    return rows


def named_by(rows: QuerySet[Any], key: str) -> Callable[[datetime], InUse]:
    """Return the keys, among those given, that these rows reference in the column `key`."""
    return lambda before: (
        lambda pks: set(
            rows.filter(**{f"{key}__in": pks}).order_by().values_list(key, flat=True)
        )
    )
