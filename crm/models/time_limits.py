"""Background work whose statements time out: it is retried, but not for ever."""

from typing import Any, Final, TypeVar

from django.db import models
from django.db.models import F, QuerySet

Q = TypeVar("Q", bound=QuerySet[Any])
TRIES: Final = 5  # that time out in a row; then the work ends
TOO_SLOW: Final = (
    "The database took too long, five times in a row. Try again later, or ask the operator of LeadMachine to look at "
    "it."
)


class TimeLimited(models.Model):
    """Work that counts in `timeouts` how many tries in a row have timed out."""

    timeouts = models.PositiveSmallIntegerField(default=0, db_default=0)

    class Meta:
        abstract = True


def timed_out_too_often(work: Q) -> Q:
    """Count one more try of this work that has timed out. Returns the work if it should not be retried.

    Work that another process has continued meanwhile is not returned: its count starts again.
    """
    work.update(timeouts=F("timeouts") + 1)
    return work.filter(timeouts__gte=TRIES)
