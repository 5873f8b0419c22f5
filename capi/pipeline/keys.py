"""Many primary keys as one parameter: a list of 5,000 placeholders takes longer to write than to execute."""

from collections.abc import Sequence

from django.db import connection
from django.db.models.expressions import RawSQL


def one_of(pks: Sequence[int]) -> RawSQL:
    """For `filter(pk__in=one_of(pks))`."""
    if connection.vendor == "postgresql":
        return RawSQL("SELECT unnest(%s::bigint[])", [list(pks)])
    return RawSQL("SELECT value FROM json_each(%s)", [str(list(pks))])
