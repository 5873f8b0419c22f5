"""The rows that a long piece of work is about, by their ids, as they were when somebody asked for it.

So neither a filter nor a search has to be kept, and no row is done twice or left out because others changed.
"""

from array import array
from collections.abc import Iterable, Iterator
from typing import Any, Final
from zlib import compress, decompress

from django.db import models

from crm.models.company import Company

READ_AT_ONCE: Final = 10_000


class KeySelection(models.Model):
    """The ids, in an order, compressed: half a million are 4 MB."""

    company = models.ForeignKey(Company, on_delete=models.CASCADE, related_name="+", db_index=False)
    keys = models.BinaryField()

    class Meta:
        abstract = True

    def read(self) -> "array[int]":
        """The ids, 8 bytes each."""
        return array("q", decompress(bytes(self.keys)))


def keys_of(*querysets: models.QuerySet[Any]) -> Iterator[int]:
    """The ids of their rows, of one queryset after the other. Nothing is read before the first is asked for."""
    for rows in querysets:
        yield from rows.values_list("pk", flat=True).iterator(chunk_size=READ_AT_ONCE)


def packed_keys(keys: Iterable[int]) -> tuple[bytes, int]:
    """The `keys` of a selection, and how many they are."""
    ids = array("q", keys)
    return compress(ids.tobytes(), 1), len(ids)
