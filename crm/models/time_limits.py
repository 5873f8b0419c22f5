"""Background work whose statements reach their time limit: it is tried again, but not without end."""

from typing import Any, Final, TypeVar

from django.db import models
from django.db.models import F, QuerySet

Q = TypeVar("Q", bound=QuerySet[Any])
TRIES: Final = 5  # in a row that reach the limit; then the work ends
TOO_SLOW: Final = (
    "The database took too long, five times in a row. Try again later, or ask your operator to look at it."
)


class TimeLimited(models.Model):
    """Work that counts in `timeouts` the tries in a row that have reached the time limit."""

    timeouts = models.PositiveSmallIntegerField(default=0, db_default=0)

    class Meta:
        abstract = True


def timed_out_too_often(work: Q) -> Q:
    """Count one more try of this work that has reached the time limit. Returns it if that should be the last one.

    Work of which another process has done a step meanwhile is not returned: its count starts again.
    """
    work.update(timeouts=F("timeouts") + 1)
    return work.filter(timeouts__gte=TRIES)
