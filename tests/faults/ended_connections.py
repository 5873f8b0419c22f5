"""Ends the database connection of a thread at one of its exchanges with PostgreSQL: statements, COMMITs, FETCHes.

Each of psycopg's waits is one exchange. A BEGIN is part of that of the statement that follows it.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from django.db import connection

from postgresql.base import BoundedConnection

COMMIT: Final = "_commit_gen"  # psycopg's name for it
SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the connection ends: before the exchange at which this is true of the exchanges up to it.

    With `answer_only`, PostgreSQL does what it is asked, and the connection ends before its answer is read.
    """

    name: str
    is_here: Callable[[Sequence[str]], bool]
    answer_only: bool = False

    def __str__(self) -> str:
        return self.name


AFTER_COMMIT: Final = Cut(
    "between the COMMIT and what follows it", lambda done: list(done[-2:-1]) == [COMMIT]
)
COMMIT_WITHOUT_ANSWER: Final = Cut(
    "before the COMMIT's answer", lambda done: done[-1] == COMMIT, answer_only=True
)


def before(number: int) -> Cut:
    return Cut(f"before exchange {number}", lambda done: len(done) == number)


@dataclass(slots=True)
class Work:
    """What is done in a thread: what it returned or raised, and the name of each exchange."""

    thread: threading.Thread = field(default_factory=threading.Thread)
    result: Any = None
    error: BaseException | None = None
    exchanges: list[str] = field(default_factory=list)
    was_cut: bool = False


def begin(work: Callable[[], Any], cut: Cut | None = None) -> Work:
    """Begin the work in a thread, on a connection of its own, which ends at the cut."""
    done = Work()

    def run() -> None:
        try:
            with _watching(done, cut):
                done.result = work()
        except Exception as error:
            done.error = error
        finally:
            connection.close()

    done.thread = threading.Thread(target=run)
    done.thread.start()
    return done


def end(work: Work) -> Work:
    """Wait for the end of this work."""
    work.thread.join(SECONDS)
    assert not work.thread.is_alive()
    return work


@contextmanager
def _watching(done: Work, cut: Cut | None) -> Iterator[None]:
    thread, wait = threading.get_ident(), BoundedConnection.wait

    def counted(self: BoundedConnection, gen: Any, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() != thread:
            return wait(self, gen, *args, **kwargs)
        done.exchanges.append(gen.__name__)
        if cut is None or done.was_cut or not cut.is_here(done.exchanges):
            return wait(self, gen, *args, **kwargs)
        done.was_cut = True
        if not cut.answer_only:
            _terminate(self)
            return wait(self, gen, *args, **kwargs)
        wait(self, gen, *args, **kwargs)
        _terminate(self)
        self.close()
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    BoundedConnection.wait = counted  # type: ignore[method-assign]
    try:
        yield
    finally:
        BoundedConnection.wait = wait  # type: ignore[method-assign]


def _terminate(line: BoundedConnection) -> None:
    """End the connection, and return once PostgreSQL has done so."""
    info = line.info
    address = {
        "host": info.host,
        "port": info.port,
        "dbname": info.dbname,
        "user": info.user,
    }
    with psycopg.connect(
        **address, password=info.password or None, autocommit=True
    ) as other:
        [ended] = other.execute(
            "SELECT pg_terminate_backend(%s, 5000)", [info.backend_pid]
        ).fetchone() or [False]
    assert ended
