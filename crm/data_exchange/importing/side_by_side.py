"""Imports two chunks at a time: with only one, Python and PostgreSQL wait for each other.

Two threads take turns, each with its own connection. Once one has decided the outcome of its rows and locked the leads
that they are about, the other starts on the next chunk. Chunks are committed in the order of the file: at its end each
locks the import's row, and gives up unless `reached` is where the chunk began.

Nothing depends on this. A chunk that fails here for any reason is rolled back, and `advance` retries it on its own.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any, Final

from django.db import DEFAULT_DB_ALIAS, connection, transaction

from crm.data_exchange.importing import work
from crm.data_exchange.importing.judging import Former, count, former
from crm.data_exchange.importing.writing import renew_keys, write
from crm.models import ImportState, Lead, LeadImport, RowOutcome, many_rows
from crm.models.lead_import import add_counts
from postgresql.bounds import LONG_SECONDS, statements_may_take

logger = logging.getLogger(__name__)

AT_ONCE: Final = 30  # chunks before another import gets its turn
LOOK_EVERY: Final = 1.0  # seconds
# While its transaction lasts, no other process can do a chunk of the import, with `advance` or in pairs. A cancel and
# the chunks of the claiming process can still update the import's row.
CLAIM: Final = """
SELECT pg_try_advisory_xact_lock(hashtextextended('crm_leadimport', id)) FROM crm_leadimport
WHERE id = %s AND state = 'running' FOR KEY SHARE SKIP LOCKED
"""
SOMEBODY_WAITS: Final = """
SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))
"""


class GaveWay(Exception):
    """The chunk is left to `advance`. None of it was written."""


def import_chunks(pk: int, go_on: Callable[[], bool]) -> bool:
    """Do the next chunks of a running import, two at a time, while `go_on` returns True. False if none was committed.

    An import that tells ad platforms is left to `advance`, chunk by chunk: two chunks would lock the same rows of the
    platforms' tables. So is any import on a database other than PostgreSQL, and the end of every import.
    """
    if connection.vendor != "postgresql" or connection.in_atomic_block:
        return False
    lead_import = LeadImport.objects.filter(pk=pk, state=ImportState.RUNNING, tells_platforms=False).first()
    if lead_import is None or lead_import.row_count - lead_import.processed <= work.CHUNK:
        return False
    with transaction.atomic():
        if not _answer(CLAIM, [pk]):
            return False
        lead_import.refresh_from_db()
        turns = Turns(pk, go_on)
        turns.take(Chunk(lead_import.reached, lead_import.done.get(RowOutcome.NEW, 0)))
    turns.wait()
    return turns.committed > 0


@dataclass(slots=True)
class Chunk:
    """The next CHUNK rows after the row with the number `after`."""

    after: int
    added: int  # leads that the import added before this chunk
    newest: int = 0  # the highest key of these leads
    former: Former | None = None
    follows: "Chunk | None" = None
    has_ended: threading.Event = field(default_factory=threading.Event)
    is_committed: bool = False


class Turns:
    """Two threads that take turns. A None in the queue of chunks ends both."""

    def __init__(self, pk: int, go_on: Callable[[], bool]) -> None:
        self._pk, self._go_on = pk, go_on
        self._waiting: SimpleQueue[Chunk | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._take_turns, daemon=True) for _ in range(2)]
        self._handed_on, self._has_moved, self._looks, self._is_over = 0, False, 0, False
        self.committed = 0

    def take(self, first: Chunk) -> None:
        """Do this chunk and those after it, in two threads.

        Returns when both have ended, or when another session waits for a lock of the claim. A chunk may be waiting for
        that session: a deadlock that the database can't detect, because this thread waits for the chunk in Python.
        """
        self._hand_on(first)
        try:
            with suppress(RuntimeError):  # if the machine has no room for a second thread, one does all chunks
                for thread in self._threads:
                    thread.start()
            self.wait(unless=self._give_sign_of_life)
        finally:
            self._is_over = True
            self._waiting.put(None)

    def wait(self, unless: Callable[[], bool] = bool) -> None:
        """Wait until both threads have ended, or `unless` returns True."""
        for thread in self._threads:
            while thread.is_alive():
                thread.join(LOOK_EVERY)
                if unless():
                    return

    def _give_sign_of_life(self) -> bool:
        """True if another session waits for a lock of the claim.

        The query also keeps the claim's connection, and any watchdog on this thread's statements, from timing out. It
        is not sent once neither thread has made progress for longer than a statement may take.
        """
        self._looks = 0 if self._has_moved else self._looks + 1
        self._has_moved = False
        return self._looks * LOOK_EVERY < LONG_SECONDS and _answer(SOMEBODY_WAITS)

    def _take_turns(self) -> None:
        try:
            with connection.execute_wrapper(self._note):
                while chunk := self._waiting.get():
                    self._do(chunk)
        except GaveWay:
            pass
        except Exception:
            logger.warning("Retrying a chunk of import %s.", self._pk, exc_info=True)
        finally:
            self._waiting.put(None)
            connection.close()

    def _note(self, execute: Callable[..., Any], *statement: Any) -> Any:
        try:
            return execute(*statement)
        finally:
            self._has_moved = True

    def _do(self, chunk: Chunk) -> None:
        try:
            with transaction.atomic(), statements_may_take(LONG_SECONDS):
                reached, counts = self._write(chunk)
                connection.check_constraints()  # now: at the commit, the next chunk would wait for it
                self._wait_for(chunk.follows)
                self._move_on(chunk, reached, counts)
            chunk.is_committed, chunk.follows = True, None
            self.committed += 1
        finally:
            chunk.has_ended.set()

    def _write(self, chunk: Chunk) -> tuple[int, Counter[str]]:
        """Write the chunk. Returns the number of its last row, and its counts."""
        lead_import = LeadImport.objects.get(pk=self._pk)
        lead_import.reached = chunk.after
        many_rows.count_again(Lead, chunk.added, using=DEFAULT_DB_ALIAS)
        judged = work.judge_next(lead_import, locks=True, former=chunk.former)
        if not judged:
            raise GaveWay
        newest = renew_keys(lead_import, judged, after=chunk.newest)  # before the next chunk takes its own
        added = chunk.added + sum(row.is_new for row in judged)
        known = former(chunk.after, judged)
        if len(judged) < work.CHUNK:
            self._is_over = True
        self._hand_on(Chunk(lead_import.reached, added, newest, former=known, follows=chunk))
        write(lead_import, judged)
        return lead_import.reached, count(judged)

    def _hand_on(self, chunk: Chunk) -> None:
        self._handed_on += 1
        goes_on = self._handed_on <= AT_ONCE and not self._is_over and self._go_on()
        self._waiting.put(chunk if goes_on else None)

    def _wait_for(self, former: Chunk | None) -> None:
        """Wait until the previous chunk is committed. Raises GaveWay if it isn't in time, or if a session waits for us.

        The previous chunk may be waiting for that session: a deadlock that no database detects, because we wait for
        the chunk in Python.
        """
        for _ in range(round(LONG_SECONDS / LOOK_EVERY)):
            if former is None or former.has_ended.wait(LOOK_EVERY):
                break
            if _answer(SOMEBODY_WAITS):
                raise GaveWay
        if former is not None and not former.is_committed:
            raise GaveWay

    def _move_on(self, chunk: Chunk, reached: int, counts: Counter[str]) -> None:
        own = LeadImport.objects.filter(pk=self._pk, state=ImportState.RUNNING, reached=chunk.after)
        lead_import = own.select_for_update(no_key=True).first()
        if lead_import is None or not work.may_go_on(lead_import):
            raise GaveWay
        lead_import.reached, lead_import.timeouts = reached, 0
        lead_import.done = add_counts(lead_import.done, counts)
        lead_import.save(update_fields=["reached", "done", "timeouts"])


def _answer(statement: str, parameters: list[Any] | None = None) -> bool:
    """True if the first value of the first row is true. False without a row."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        row = cursor.fetchone()
    return bool(row and row[0])
