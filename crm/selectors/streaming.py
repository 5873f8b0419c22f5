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
    """A file from its first piece on. `close` ends the query behind it and gives its place back, read or not."""

    def __init__(self, first: str | bytes, others: Pieces, place: str) -> None:
        self._first, self._others, self._place = first, others, place

    def __iter__(self) -> Iterator[Any]:
        return chain([self._first], self._others)

    def close(self) -> None:
        try:
            self._others.close()
        finally:
            rate_limits.leave_place(self._place)


def take_place(company_id: int) -> str:
    """Take a place for a download, and return it. Raises TooOften if the company has none left."""
    return rate_limits.take_place("exports", company_id=company_id, places=AT_A_TIME, seconds=EXPORT_SECONDS)


def streamed(
    pieces: Pieces, place: str, *, name: str, content_type: str, size: int | None = None
) -> StreamingHttpResponse:
    """The response with this file, of `size` bytes if that is known. It gives its place back when it is closed.

    The first piece is read at once: if that fails, the client gets an error instead of half a file.
    """
    try:
        first = next(pieces, "")
    except BaseException:
        rate_limits.leave_place(place)
        raise
    response = StreamingHttpResponse(_File(first, pieces, place), content_type=content_type)
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
