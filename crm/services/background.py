"""A worker's jobs other than sending, chunk by chunk and company by company."""

import logging
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from django.db import connection
from django.db.models import QuerySet

from postgresql.availability import Unavailable, why_unavailable

logger = logging.getLogger(__name__)

R = TypeVar("R")


def work_through(waiting: QuerySet[Any], advance: Callable[[int], bool], *, go_on: Callable[[], bool]) -> None:
    """Do a chunk of each pending row in turn, until none is left or `go_on` returns False.

    `advance` takes the key of a row, and returns False if there was nothing to do.
    """
    while go_on() and sum(map(advance, _in_turn(waiting, go_on))):
        pass


def _in_turn(waiting: QuerySet[Any], go_on: Callable[[], bool]) -> Iterator[int]:
    # In random order: a row that always fails ends the round, and must not block the others in the next one too.
    pks = list(waiting.order_by("?").values_list("pk", flat=True))
    return (pk for pk in pks if go_on())


def tried(step: Callable[[], R], *, failure: str, passing: tuple[type[Exception], ...] = ()) -> R | None:
    """Return what `step` returns. If it fails, log `failure` and return None: the next steps still get their turn.

    Errors in `passing` are raised. So is any error while the database is unavailable: every other step would fail too,
    each after its time limit.
    """
    try:
        return step()
    except passing:
        raise
    except Exception as error:
        if why_unavailable(error) not in (None, Unavailable.TOO_SLOW) or not connection.is_usable():
            raise
        logger.exception(failure)
        return None
