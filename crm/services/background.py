"""The loop over the work that is done chunk by chunk in a worker: that on imports and on exports."""

from collections.abc import Callable, Iterator
from typing import Any

from django.db.models import QuerySet


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
