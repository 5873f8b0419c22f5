"""What is said about a day that comes near: the end of the API version, and of an access token that has one."""

from datetime import date
from typing import Final

from django.utils import dateformat

from capi.reasons import Reason
from capi.words import REASONS, Tone, Words

RETIRED: Final = REASONS[Reason.VERSION_RETIRED]


def about_version(version: str, day: date, days_left: int) -> Words:
    return Words(
        "API version",
        f"LinkedIn {'switches' if days_left > 0 else 'has switched'} version {version} of its API off "
        f"{_on(day, days_left)}.",
        "Whoever runs LeadMachine sets LINKEDIN_API_VERSION to a newer one. What is on hold until then is kept.",
        _tone(days_left, bad_from=7),
        topic=RETIRED.topic,
    )


def about_old_version(version: str) -> Words:
    return Words(
        "API version",
        f"Version {version} is older than all that LinkedIn still answers.",
        RETIRED.next_step,
        "bad",
        topic=RETIRED.topic,
    )


def about_token(day: date, days_left: int) -> Words:
    return Words(
        "Access token",
        f"The access token {'expires' if days_left > 0 else 'was to expire'} {_on(day, days_left)}.",
        "Generate a new token in Campaign Manager and save it on the LinkedIn page (step 1).",
        _tone(days_left, bad_from=3),
        topic=REASONS[Reason.TOKEN_REFUSED].topic,
    )


def _tone(days_left: int, *, bad_from: int) -> Tone:
    return "bad" if days_left <= bad_from else "wait"


def _on(day: date, days_left: int) -> str:
    """The day and how far it is: "on 15 September 2027, in 60 days"."""
    when = {0: "today", 1: "tomorrow"}.get(days_left) or (f"in {days_left} days" if days_left > 0 else "")
    return f"on {dateformat.format(day, 'j F Y')}{', ' if when else ''}{when}"
