"""Steps of a timer of which one may fail without stopping the others."""

import logging
from collections.abc import Callable
from typing import TypeVar

from django.db import connection

from postgresql.availability import Unavailable, why_unavailable

logger = logging.getLogger(__name__)

R = TypeVar("R")


def tried(
    step: Callable[[], R], *, failure: str, passing: tuple[type[Exception], ...] = ()
) -> R | None:
    """Return what `step` returns. If it fails, log `failure` and return None: the next steps still get their turn.

    Errors in `passing` are raised. So is any error while the database is unavailable: every other step would fail too,
    each after its time limit.
    """
    try:
        return step()
    except passing:
        raise
    except Exception as error:
        if (
            why_unavailable(error) not in (None, Unavailable.TOO_SLOW)
            or not connection.is_usable()
        ):
            raise
        logger.exception(failure)
        return None
