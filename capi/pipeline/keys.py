"""Many primary keys as one parameter: a list of 5,000 placeholders takes longer to write than to execute."""

from collections.abc import Collection
from typing import TypeVar

from django.db import connection
from django.db.models import Model, QuerySet
from django.db.models.expressions import RawSQL

M = TypeVar("M", bound=Model)


def one_of(pks: Collection[int]) -> RawSQL:
    """For `filter(pk__in=one_of(pks))`."""
    if connection.vendor == "postgresql":
        return RawSQL("SELECT unnest(%s::bigint[])", [list(pks)])
    return RawSQL("SELECT value FROM json_each(%s)", [str(list(pks))])


def without(rows: QuerySet[M], pks: Collection[int]) -> QuerySet[M]:
    """The rows but for those with these keys."""
    return rows.exclude(pk__in=one_of(pks)) if pks else rows
