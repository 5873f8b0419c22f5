"""What Django raises when PostgreSQL has ended a statement at its time limit."""

from typing import Any

from django.db import OperationalError

from postgresql.bounds import QUERY_CANCELED


class Cancelled(Exception):
    sqlstate = QUERY_CANCELED


def take_too_long(*args: Any, **kwargs: Any) -> Any:
    raise OperationalError("canceling statement due to statement timeout") from Cancelled()
