"""System checks of values: a number that would delete, give up or repeat without end, and a word without a meaning."""

from collections.abc import Mapping
from typing import Any, Final

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

# The smallest value of each setting, and what would happen below it.
SMALLEST: Final[Mapping[str, tuple[float, str]]] = {
    "RETENTION_DAYS": (1, "the log of events would be deleted at once"),
    "REQUESTS_PER_MINUTE": (1, "nothing could be sent"),
    "WEB_STATEMENT_SECONDS": (
        0.1,
        "no page could read the database, or one could for ever",
    ),
    "FILES_MB_PER_COMPANY": (1, "no file could be added"),
    "API_REQUESTS_PER_MINUTE": (1, "scripts would get a 429 for each request"),
    "API_COMPANY_PER_MINUTE": (1, "scripts would get a 429 for each request"),
}


@register()
def numbers_are_large_enough(**kwargs: Any) -> list[CheckMessage]:
    """E024: no number is below the one from which on it does what it is for."""
    return [
        Error(
            f"LEADMACHINE_{name} is {getattr(settings, name):g}: {otherwise}.",
            hint=f"Set it to {smallest:g} or more, or leave it unset.",
            id="leadmachine.E024",
        )
        for name, (smallest, otherwise) in SMALLEST.items()
        if getattr(settings, name) < smallest
    ]


@register()
def log_format_is_known(**kwargs: Any) -> list[CheckMessage]:
    """E036: log lines are text or JSON. Any other word would be text, and a log system that reads JSON would fail."""
    if settings.LOG_FORMAT in ("text", "json"):
        return []
    return [
        Error(
            f"LEADMACHINE_LOG_FORMAT is {settings.LOG_FORMAT!r}.",
            hint="Set it to text or json, or leave it unset.",
            id="leadmachine.E036",
        )
    ]
