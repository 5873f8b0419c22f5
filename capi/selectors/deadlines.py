"""Deadlines: when LinkedIn retires the API version, and when an access token with a known date expires.

One text for each, shared by the banners, the doctor, the system checks and mails.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from capi.linkedin import versions
from capi.selectors.explanations.connection import about_token, about_version
from capi.selectors.explanations.states import Explanation

VERSION_MARKS: Final = (60, 30, 7)  # days left at which people are warned
TOKEN_MARKS: Final = (14, 7, 3, 1)


@dataclass(frozen=True, slots=True)
class Deadline:
    """The day on which sending stops unless someone acts before then.

    `mark` is the last mark reached: 0 from the day itself on, None while the day is far off. Unless `is_certain`, the
    day is the earliest possible one.
    """

    day: date
    days_left: int
    mark: int | None
    words: Explanation
    is_certain: bool = True

    @property
    def is_near(self) -> bool:
        """True from the first mark on."""
        return self.mark is not None


def end_of_version(version: str, today: date) -> Deadline | None:
    """When LinkedIn switches this API version off, None for a version that was switched off before our table begins."""
    day = versions.sunset(version)
    if day is None:
        return None
    days, is_certain = (day - today).days, versions.is_known(version)
    words = about_version(version, day, days, is_certain=is_certain)
    return Deadline(day, days, _reached(days, VERSION_MARKS), words, is_certain)


def end_of_token(expires_on: date | None, today: date) -> Deadline | None:
    """When the access token expires, by the date entered with it. None if there is no date."""
    if expires_on is None:
        return None
    days = (expires_on - today).days
    return Deadline(
        expires_on, days, _reached(days, TOKEN_MARKS), about_token(expires_on, days)
    )


def _reached(days_left: int, marks: Sequence[int]) -> int | None:
    if days_left <= 0:
        return 0
    return min((mark for mark in marks if days_left <= mark), default=None)
