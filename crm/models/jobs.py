"""What long-running jobs have in common: the rows that they are about, and how often their statements may time out."""

from array import array
from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar
from zlib import compress, decompress

from django.db import models
from django.db.models import F, QuerySet

from crm.models.company import Company

READ_AT_ONCE: Final = 10_000
Q = TypeVar("Q", bound=QuerySet[Any])
TRIES: Final = 5  # that time out in a row; then the work ends
TOO_SLOW: Final = (
    "The database took too long, five times in a row. Try again later, or ask the operator of LeadMachine to look at "
    "it."
)


class KeySelection(models.Model):
    """The ids of a job's rows, as selected when someone requested it. Compressed: half a million are 4 MB.

    So no filter or search has to be stored, and no row is done twice or left out because others changed.
    """

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="+", db_index=False)
    keys = models.BinaryField()

    class Meta:
        abstract = True

    def read(self) -> "array[int]":
        """The ids, 8 bytes each."""
        return array("q", decompress(bytes(self.keys)))


def keys_of(*querysets: models.QuerySet[Any]) -> Iterator[int]:
    """The ids of the rows of each queryset in turn. Nothing is read before the first id is requested."""
    for rows in querysets:
        yield from rows.values_list("pk", flat=True).iterator(chunk_size=READ_AT_ONCE)


def packed_keys(keys: Iterable[int]) -> tuple[bytes, int]:
    """The value of `keys` for these ids, and their number."""
    ids = array("q", keys)
    return compress(ids.tobytes(), 1), len(ids)


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
