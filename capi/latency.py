"""How long something took, as a histogram of fixed buckets: it adds up over days and rules, as percentiles don't.

Bucket 1 holds what took up to 0.12 seconds, and each that follows is a fifth longer; the last holds all beyond 90 days.
A percentile is told as the (geometric) middle of its bucket, and so is at most 10 % off.
"""

import math
from collections.abc import Mapping
from typing import Any, Final

from django.db.models import BigIntegerField, F, FloatField, Func, Value
from django.db.models.functions import Cast, Floor, Greatest, Least, Ln

SHORTEST_SECONDS: Final = 0.1
GROWTH: Final = 1.2
BUCKETS: Final = 100


class _Seconds(Func):
    """The difference of two moments in seconds."""

    output_field = FloatField()

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "CAST(EXTRACT(EPOCH FROM %(expressions)s) AS double precision)"
        return self.as_sql(compiler, connection, template=template, **context)

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="((%(expressions)s) / 1000000.0)", **context)


def bucket_between(first: str, last: str) -> Cast:
    """The bucket (1 to BUCKETS) of the time from one column's moment to another's, for a query."""
    seconds = Greatest(_Seconds(F(last) - F(first)), Value(SHORTEST_SECONDS))
    steps = Floor(Ln(seconds / Value(SHORTEST_SECONDS)) / Value(math.log(GROWTH)))
    return Cast(Least(steps + 1, Value(float(BUCKETS))), BigIntegerField())


def percentile(counts: Mapping[int, int], share: float) -> float | None:
    """The seconds within which this share of all was done, None where there is nothing. `counts` is by bucket."""
    rank = math.ceil(sum(counts.values()) * share)
    for bucket in sorted(counts):
        rank -= counts[bucket]
        if rank <= 0 and counts[bucket]:
            return SHORTEST_SECONDS * math.pow(GROWTH, bucket - 0.5)
    return None
