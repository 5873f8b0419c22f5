"""Time zones that a company can be in, by their names in the IANA time zone database."""

from functools import lru_cache
from zoneinfo import available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError


def usual_time_zone() -> str:
    """That of a company that has not chosen one."""
    return settings.TIME_ZONE


@lru_cache
def time_zones() -> tuple[str, ...]:
    """All of them, "UTC" first, without the abbreviations and aliases that stand outside of a region."""
    return ("UTC", *sorted(name for name in available_timezones() if "/" in name and not name.startswith("Etc/")))


def validate_time_zone(name: str) -> None:
    """Raise ValidationError for an unknown time zone."""
    if name not in time_zones():
        raise ValidationError("Unknown time zone.")
