"""What a worker does chunk by chunk, and company by company, beside sending."""

import logging
from collections.abc import Callable, Iterator
from typing import Any

from django.db import connection
from django.db.models import QuerySet

logger = logging.getLogger(__name__)


def work_through(waiting: QuerySet[Any], advance: Callable[[int], bool], *, go_on: Callable[[], bool]) -> None:
    """Do a chunk of each waiting row in turn, until there is none left or `go_on` says no.

    `advance` takes the key of a row, and returns False if there was nothing to do.
    """
    while go_on() and sum(map(advance, _in_turn(waiting, go_on))):
        pass


def _in_turn(waiting: QuerySet[Any], go_on: Callable[[], bool]) -> Iterator[int]:
    # In any order: one that fails each time ends a round, and may not be in front of the others in the next.
    pks = list(waiting.order_by("?").values_list("pk", flat=True))
    return (pk for pk in pks if go_on())


def tried(step: Callable[[int], bool], company_id: int, *, failure: str) -> bool:
    """Return what `step` does for the company, or log `failure` and return False: one keeps no other from its turn.

    Where the database is away each of them would fail, after its time limit. So the error is raised then.
    """
    try:
        return step(company_id)
    except Exception:
        if not connection.is_usable():
            raise
        logger.exception(f"{failure}; the next round tries again.", company_id)
        return False
