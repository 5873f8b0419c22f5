"""Retries, once, a transaction that the database has aborted in favour of a concurrent one."""

from collections.abc import Callable
from functools import wraps
from typing import Final, ParamSpec, TypeVar

from django.db import IntegrityError, OperationalError, connection

# SQLSTATEs: a deadlock, a serialization failure, and a unique key that was still free when it was checked.
OF_TWO_AT_ONCE: Final = frozenset({"40P01", "40001", "23505"})

P = ParamSpec("P")
R = TypeVar("R")


def tried_again(work: Callable[P, R]) -> Callable[P, R]:
    """Decorate a transaction that locks several leads: if it conflicts with a concurrent one, it is run once more.

    Inside a larger transaction the error is raised: that transaction has to be retried as a whole.
    """

    @wraps(work)
    def trying(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return work(*args, **kwargs)
        except (OperationalError, IntegrityError) as error:
            if (
                connection.in_atomic_block
                or getattr(error.__cause__, "sqlstate", None) not in OF_TWO_AT_ONCE
            ):
                raise
        return work(*args, **kwargs)

    return trying
