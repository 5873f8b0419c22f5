"""The sandbox's log of requests and answers: one line of JSON per request, in a file that survives any kill."""

import contextlib
import json
import os
import re
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Self

from capi.linkedin.sandbox.messages import IncomingRequest, Reply

_BLOCK_BYTES = 1 << 20
_MAX_TEXT = 2_000


@dataclass(frozen=True)
class Entry:
    """One request and its answer.

    `token` is a fingerprint, never the token. `elements` are as received; if the body was not JSON, they are empty and
    `text` is its beginning. A `status` of None means no answer. `fault` was scripted by a test.
    """

    time: datetime
    method: str
    path: str
    version: str
    token: str
    batch: bool
    elements: list[Any]
    text: str
    status: int | None
    answer: str
    fault: dict[str, Any] | None = None
    number: int = 0

    @classmethod
    def of(
        cls,
        request: IncomingRequest,
        reply: Reply,
        time: datetime,
        fault: dict[str, Any] | None = None,
    ) -> Self:
        elements, text = _content(request)
        return cls(
            time,
            request.method,
            request.path,
            request.version,
            request.token_fingerprint,
            request.is_batch,
            elements,
            text,
            reply.status,
            reply.body.decode(errors="replace"),
            fault,
        )

    @classmethod
    def from_line(cls, line: bytes) -> Self | None:
        """The entry of a line of the file, None if the line is torn."""
        try:
            content = json.loads(line)
            return cls(**content | {"time": datetime.fromisoformat(content["time"])})
        except (ValueError, TypeError, KeyError):
            return None

    def line(self) -> bytes:
        return (
            json.dumps(
                vars(self), default=datetime.isoformat, separators=(",", ":")
            ).encode()
            + b"\n"
        )


def _content(request: IncomingRequest) -> tuple[list[Any], str]:
    try:
        document = request.document
    except ValueError:
        return [], request.body.decode(errors="replace")[:_MAX_TEXT]
    elements = None
    if request.is_batch and isinstance(document, dict):
        elements = document.get("elements")
    return elements if isinstance(elements, list) else [document], ""


class RequestLog:
    """The file. Several threads may share a RequestLog; other processes may read the file and clear it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        # Of the last entry; None until this process has read it.
        self._number: int | None = None

    def append(self, entry: Entry) -> Entry:
        """Write the entry, and return it with its number, counted from 1."""
        with self._lock:
            if self._number is None:
                self._number = self._last_number()
            self._number += 1
            numbered = replace(entry, number=self._number)
            self._write(numbered.line())
            return numbered

    def tail(self, count: int) -> list[Entry]:
        """The last `count` entries, newest first. A torn line, left behind by a kill, is skipped."""
        try:
            with self.path.open("rb") as file:
                entries = (
                    Entry.from_line(line) for line in _lines_backwards(file) if line
                )
                return list(islice((entry for entry in entries if entry), count))
        except FileNotFoundError:
            return []

    def clear(self) -> None:
        """Delete all entries."""
        with self._lock:
            self._number = 0
            if self.path.exists():
                os.truncate(self.path, 0)

    def set_aside(self, *, beyond_bytes: int) -> None:
        """Begin a new file if this one has more than `beyond_bytes`. The old one becomes `.1` and replaces the last."""
        with contextlib.suppress(FileNotFoundError):
            if self.path.stat().st_size > beyond_bytes:
                # Renamed, not copied: a line that is being written goes to one of them, and is not lost.
                self.path.replace(self._files()[1])

    def forget(self, words: Collection[str]) -> int:
        """Blank the entries that contain one of the words, such as the id of an event. Returns how many."""
        if not words:
            return 0
        pattern = re.compile(b"|".join(re.escape(word.encode()) for word in words))
        return sum(
            _blank(path, lambda line: pattern.search(line) is not None)
            for path in self._files()
        )

    def prune(self, before: datetime) -> int:
        """Blank the entries from before this time. Returns how many."""

        def is_old(line: bytes) -> bool:
            entry = Entry.from_line(line)
            return entry is not None and entry.time < before

        return sum(_blank(path, is_old) for path in self._files())

    def _files(self) -> tuple[Path, Path]:
        return self.path, self.path.with_name(f"{self.path.name}.1")

    def _last_number(self) -> int:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        last = self.tail(1)
        if self._ends_torn():
            self._write(b"\n")  # the next line must not continue the torn one
        return last[0].number if last else 0

    def _ends_torn(self) -> bool:
        if not self.path.exists() or not self.path.stat().st_size:
            return False
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() != b"\n"

    def _write(self, line: bytes) -> None:
        # Opened each time (some microseconds): the file may be cleared or removed while we run.
        file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            while line:
                line = line[os.write(file, line) :]
        finally:
            os.close(file)


def _blank(path: Path, is_to_go: Callable[[bytes], bool]) -> int:
    """Overwrite these lines with spaces in place, as other processes may be appending lines. Returns how many."""
    blanked = at = 0
    with contextlib.suppress(FileNotFoundError), path.open("r+b") as file:
        for line in file:
            content = line.rstrip(b"\n")
            if is_to_go(content):
                os.pwrite(file.fileno(), b" " * len(content), at)
                blanked += 1
            at += len(line)
    return blanked


def _lines_backwards(file: BinaryIO) -> Iterator[bytes]:
    position = file.seek(0, os.SEEK_END)
    rest = b""
    while position:
        size = min(_BLOCK_BYTES, position)
        position = file.seek(position - size)
        rest, *lines = (file.read(size) + rest).split(b"\n")
        yield from reversed(lines)
    yield rest
