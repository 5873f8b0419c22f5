"""What Django raises when PostgreSQL has ended a statement at its time limit."""

from typing import Any

from django.db import OperationalError
from psycopg.errors import QueryCanceled


def take_too_long(*args: Any, **kwargs: Any) -> Any:
    raise OperationalError(
        "canceling statement due to statement timeout"
    ) from QueryCanceled()
