"""The rows that a job is about: their ids, as selected when someone requested it."""

from array import array
from collections.abc import Iterable, Iterator
from typing import Any, Final
from zlib import compress, decompress

from django.db import models

from crm.models.company import Company

READ_AT_ONCE: Final = 10_000


class KeySelection(models.Model):
    """The ids of a job's rows, as selected when someone requested it. Compressed: half a million are 4 MB.

    So no filter or search has to be stored, and no row is done twice or left out because others changed.
    """

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    keys = models.BinaryField()

    class Meta:
        abstract = True

    def read(self) -> "array[int]":
        """The ids, 8 bytes each."""
        return array("q", decompress(bytes(self.keys)))


def keys_of(rows: models.QuerySet[Any]) -> Iterator[int]:
    """The ids of these rows, in order. Nothing is read before the first id is requested."""
    yield from rows.values_list("pk", flat=True).iterator(chunk_size=READ_AT_ONCE)


def packed_keys(keys: Iterable[int]) -> tuple[bytes, int]:
    """The value of `keys` for these ids, and their number."""
    ids = array("q", keys)
    return compress(ids.tobytes(), 1), len(ids)
