"""Trying a transaction once more that the database has ended for the sake of another one."""

from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

from django.db import IntegrityError, OperationalError, connection

# Of PostgreSQL: a deadlock, a serialization failure, and a row with a key that was free when it was looked for.
OF_TWO_AT_ONCE: Final = frozenset({"40P01", "40001", "23505"})

P = ParamSpec("P")
R = TypeVar("R")


def tried_again(work: Callable[P, R]) -> Callable[P, R]:
    """Decorate a transaction that locks several leads: where two at once get in each other's way, run it once more.

    Inside a larger transaction the error is raised: that one has to begin again as a whole.
    """

    @wraps(work)
    def trying(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return work(*args, **kwargs)
        except (OperationalError, IntegrityError) as error:
            if connection.in_atomic_block or getattr(error.__cause__, "sqlstate", None) not in OF_TWO_AT_ONCE:
                raise
        return work(*args, **kwargs)

    return trying
