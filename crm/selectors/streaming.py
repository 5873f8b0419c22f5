"""Streaming files of any size, with limits: how many at a time for a company, and for how long."""

import time
from collections.abc import Generator, Iterator
from itertools import chain
from typing import Any, Final, TypeVar

from django.http import StreamingHttpResponse

from crm.services import rate_limits

# While a reader is behind, an export keeps a thread and a cursor (docs/decisions/slow-clients-cost-no-thread.md).
AT_A_TIME: Final = 2  # of a company
EXPORT_SECONDS: Final = 15 * 60

P = TypeVar("P", str, bytes)
Pieces = Generator[str, None, None] | Generator[bytes, None, None]


class ReaderTooSlow(Exception):
    """Ends an export. The web server closes the connection without the end of the file."""


class _File:
    """A file from its first piece on. `close` ends the query behind it and gives its slot back, read or not."""

    def __init__(self, first: str | bytes, others: Pieces, slot: str) -> None:
        self._first, self._others, self._slot = first, others, slot

    def __iter__(self) -> Iterator[Any]:
        return chain([self._first], self._others)

    def close(self) -> None:
        try:
            self._others.close()
        finally:
            rate_limits.free_slot(self._slot)


def take_slot(company_id: int) -> str:
    """Take a slot for a download, and return it. Raises TooOften if the company has none left."""
    return rate_limits.take_slot(
        "exports", company_id=company_id, slots=AT_A_TIME, seconds=EXPORT_SECONDS
    )


def streamed(
    pieces: Pieces, slot: str, *, name: str, content_type: str, size: int | None = None
) -> StreamingHttpResponse:
    """The response with this file, of `size` bytes if that is known. It gives its slot back when it is closed.

    The first piece is read at once: if that fails, the client gets an error instead of half a file.
    """
    try:
        first = next(pieces, "")
    except BaseException:
        rate_limits.free_slot(slot)
        raise
    response = StreamingHttpResponse(
        _File(first, pieces, slot), content_type=content_type
    )
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    if size is not None:
        response["Content-Length"] = str(size)
    return response


def in_time(pieces: Iterator[P]) -> Generator[P, None, None]:
    """The pieces. Raises ReaderTooSlow once they have taken EXPORT_SECONDS."""
    end = time.monotonic() + EXPORT_SECONDS
    for piece in pieces:
        if time.monotonic() > end:
            raise ReaderTooSlow(f"The export took more than {EXPORT_SECONDS} seconds.")
        yield piece
