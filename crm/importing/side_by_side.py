"""Imports two chunks at a time, because one alone has Python and PostgreSQL wait for each other.

Two threads take turns, each with a connection of its own. As soon as one has decided what becomes of its rows, and has
locked the leads that they are about, the other begins with the next chunk. Chunks are committed in the order of the
file: at its end each locks the row of the import, and goes no further unless `reached` is where it began.

Nothing depends on it. A chunk that fails here, whatever for, leaves nothing, and `advance` does it again, alone.
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

from crm.importing import work
from crm.importing.judging import Former, count, former
from crm.importing.writing import renew_keys, write
from crm.models import ImportState, Lead, LeadImport, RowOutcome, many_rows
from crm.models.lead_import import add_counts
from postgresql.bounds import LONG_SECONDS, statements_may_take

logger = logging.getLogger(__name__)

AT_ONCE: Final = 30  # chunks, before another import has its turn
LOOK_EVERY: Final = 1.0  # seconds
# For as long as its transaction lasts, no other process has the import to itself, or does two chunks of it at a time.
# A cancel, and the chunks of the process that has it, write the row all the same.
CLAIM: Final = """
SELECT pg_try_advisory_xact_lock(hashtextextended('crm_leadimport', id)) FROM crm_leadimport
WHERE id = %s AND state = 'running' FOR KEY SHARE SKIP LOCKED
"""
SOMEBODY_WAITS: Final = """
SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))
"""


class GaveWay(Exception):
    """The chunk is left to `advance`. Nothing of it was written."""


def import_chunks(pk: int, go_on: Callable[[], bool]) -> bool:
    """Do the next chunks of a running import, two at a time, as long as `go_on` says yes. False if that is not one.

    Of one that tells ad platforms, chunks are done one after the other: two would lock the same rows of theirs. So they
    are where the database is not PostgreSQL. The end of an import is always left to `advance`.
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
    """The rows after the one with this number, of which there are CHUNK."""

    after: int
    added: int  # leads, before it
    newest: int = 0  # the highest key of these
    former: Former | None = None
    follows: "Chunk | None" = None
    has_ended: threading.Event = field(default_factory=threading.Event)
    is_committed: bool = False


class Turns:
    """The turns that two threads take. A None among the waiting chunks ends both."""

    def __init__(self, pk: int, go_on: Callable[[], bool]) -> None:
        self._pk, self._go_on = pk, go_on
        self._waiting: SimpleQueue[Chunk | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._take_turns, daemon=True) for _ in range(2)]
        self._handed_on, self._has_moved, self._looks, self._is_over = 0, False, 0, False
        self.committed = 0

    def take(self, first: Chunk) -> None:
        """Do this chunk and those after it, in two threads.

        Returns when both have ended, or somebody waits for the claim: a chunk may wait for them, of which no database
        knows that the claim waits for it.
        """
        self._hand_on(first)
        try:
            with suppress(RuntimeError):  # one thread does them too, if the machine has no room for two
                for thread in self._threads:
                    thread.start()
            self.wait(unless=self._give_sign_of_life)
        finally:
            self._is_over = True
            self._waiting.put(None)

    def wait(self, unless: Callable[[], bool] = bool) -> None:
        """Wait until both have ended, `unless` that says yes."""
        for thread in self._threads:
            while thread.is_alive():
                thread.join(LOOK_EVERY)
                if unless():
                    return

    def _give_sign_of_life(self) -> bool:
        """True if somebody waits for the claim.

        Keeps its connection, and whatever counts this thread's statements, from running out of time, unless neither
        thread has moved for longer than a statement may take.
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
            logger.warning("A chunk of import %s is done again.", self._pk, exc_info=True)
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
                connection.check_constraints()  # now, so that the next chunk's commit doesn't wait for it
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
        """Wait until the chunk before is committed. Raises GaveWay if it isn't in the end, or somebody waits for us.

        Who waits for us may be who the chunk before waits for, and no database notices that we wait for that chunk.
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
    """The first value of the first row, False if there is none."""
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        row = cursor.fetchone()
    return bool(row and row[0])
