"""Dates as people write them: 2026-11-03, 03.11.26, 3 Nov 2026, 11/3/2026, with or without a time.

“3/4/2026” is 3 April or 4 March, depending on who wrote it. `DateReadings` has both.
"""

import re
import unicodedata
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, date, time, timedelta, timezone
from typing import Final

from django.core.exceptions import ValidationError
from django.db import models

# A time zone could move a later day out of the range of dates.
FIRST_YEAR, LAST_YEAR = 1800, 9998
LONGEST: Final = 60  # characters
LAST_SHORT_YEAR: Final = 49  # is 2049, and 50 is 1950, as in spreadsheets
NO_DATE: Final = "Enter a date, such as 2027-01-31."

_CLOCK: Final = r"[0-2]?\d:[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?(?: ?[ap]\.?m\.?)?"
_OFFSET: Final = r"z|utc|gmt|[+-]\d\d:?\d\d"
_TIME: Final = rf"(?:[t ,]+{_CLOCK}(?: ?(?:{_OFFSET}))?)?"
_CLOCK_AT_END: Final = re.compile(
    r"(?<![\d:])(?P<hour>[0-2]?\d):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d)(?:[.,]\d+)?)?"
    rf"(?: ?(?P<half>[ap])\.?m\.?)?(?: ?(?P<offset>{_OFFSET}))?$",
    re.ASCII | re.IGNORECASE,
)
_FORMS: Final = [
    re.compile(form + _TIME, re.ASCII | re.IGNORECASE)
    for form in (
        r"(?P<year>\d{4})(?P<sign>[-/.]?)(?P<month>\d{1,2})(?P=sign)(?P<day>\d{1,2})",
        r"(?P<first>\d{1,2})(?P<sign>[-/.])(?P<second>\d{1,2})(?P=sign)(?P<year>\d{4}|\d\d)",
        r"(?P<first>\d{1,2})(?P<sign> )(?P<second>\d{1,2}) (?P<year>\d{4})",
        r"(?P<day>\d{1,2})(?:st|nd|rd|th|er|\.)?[ /.-]?(?:de )?(?P<name>[a-z]{3,10})\.?"
        r"[ /.,-]*(?:de )?(?P<year>\d{4}|\d\d)",
        r"(?P<name>[a-z]{3,10})\.?[ -](?P<day>\d{1,2})(?:st|nd|rd|th)?,? (?P<year>\d{4})",
    )
]
# How the names of months begin in English, Dutch, German, French, Spanish, Italian and Portuguese, without accents.
_NAMES: Final = (
    "jan gen ene", "feb fev", "mar maa mrt", "apr avr abr", "may mai mei mag maj", "jun juin giu",
    "jul juil lug", "aug aou ago", "sep set", "oct okt ott out", "nov", "dec dez dic",
)  # fmt: skip
_MONTHS: Final = {
    name: month for month, names in enumerate(_NAMES, start=1) for name in names.split()
}


class DayOrder(models.TextChoices):
    """Which of day and month comes first."""

    DAY = "day", "Day first"
    MONTH = "month", "Month first"


# A `DayOrder` of this request's user, "" if unknown.
own_order: ContextVar[str] = ContextVar("own_order", default="")


@dataclass(frozen=True, slots=True)
class DateReadings:
    """The dates that a text means with the day or the month first, None where it is no date.

    `has_points`: as “03.04.2026”, which hardly anyone writes with the month first.
    """

    day: date | None = None
    month: date | None = None
    has_points: bool = False

    def by(self, order: str) -> tuple[date | None, bool]:
        """The date in this order, and whether that is doubtful: it is if only the other order makes it a date.

        Without an order, None for an ambiguous one.
        """
        if not order:
            return None if self.is_ambiguous else self.day or self.month, False
        own, other = self.day, self.month
        if order == DayOrder.MONTH:
            own, other = other, own
        return own or other, own is None and other is not None

    @property
    def is_ambiguous(self) -> bool:
        return None not in (self.day, self.month) and self.day != self.month

    @property
    def only(self) -> str:
        """The only possible order, or ""."""
        if self.day is None and self.month is not None:
            return DayOrder.MONTH
        return DayOrder.DAY if self.month is None and self.day is not None else ""

    @property
    def likely(self) -> str:
        """The order that it probably has although both are possible, or ""."""
        return DayOrder.DAY if self.has_points else ""


def date_readings(text: str) -> DateReadings:
    """What the text means with the day or the month first. A time is left out: the day is the one that is written."""
    plain = _plain(text)
    found = next((match for form in _FORMS if (match := form.fullmatch(plain))), None)
    if found is None:
        return DateReadings()
    parts = found.groupdict()
    year = _year(parts["year"])
    if "first" in parts:
        first, second = int(parts["first"]), int(parts["second"])
        return DateReadings(
            _date(year, second, first), _date(year, first, second), parts["sign"] == "."
        )
    month = int(parts["month"]) if "month" in parts else _month(parts["name"].lower())
    only = _date(year, month, int(parts["day"]))
    return DateReadings(only, only)


def time_of(text: str) -> time | None:
    """The time of the day at the end of the text, with its offset from UTC if it has one. None without a time."""
    found = _CLOCK_AT_END.search(_plain(text))
    if found is None:
        return None
    hour, half = int(found["hour"]), (found["half"] or "").lower()
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    try:
        return time(
            hour,
            int(found["minute"]),
            int(found["second"] or 0),
            tzinfo=_zone(found["offset"] or ""),
        )
    except ValueError:
        return None


def _zone(offset: str) -> timezone | None:
    if not offset:
        return None
    if offset.isalpha():
        return UTC
    ahead = timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:]))
    return timezone(-ahead if offset.startswith("-") else ahead)


def _plain(text: str) -> str:
    """The text without accents and repeated spaces; "" if it is too long for a date."""
    words = " ".join(text.split()) if len(text) <= LONGEST else ""
    if words.isascii():
        return words
    return "".join(
        each
        for each in unicodedata.normalize("NFD", words)
        if not unicodedata.combining(each)
    )


def _year(digits: str) -> int:
    if len(digits) > 2:
        return int(digits)
    return int(digits) + (2000 if int(digits) <= LAST_SHORT_YEAR else 1900)


def _month(name: str) -> int:
    """The number of the month, 0 if there is none of this name."""
    return _MONTHS.get(name[:4]) or _MONTHS.get(name[:3], 0)


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def is_in_range(day: date) -> bool:
    return FIRST_YEAR <= day.year <= LAST_YEAR


def typed_date(text: str) -> date:
    """The date that the user of this request has typed, in their own order. Raises ValidationError, also if in doubt.

    An order that they have not chosen decides nothing: “3/4/2027” then gets a question.
    """
    found = date_readings(text)
    typed, _ = found.by(found.likely or own_order.get())
    if typed is None and found.is_ambiguous:
        raise ValidationError(_question(found), code="ambiguous")
    if typed is None:
        raise ValidationError(NO_DATE, code="invalid")
    if not is_in_range(typed):
        raise ValidationError(
            f"Enter a date from {FIRST_YEAR} to {LAST_YEAR}.", code="invalid"
        )
    return typed


def _question(found: DateReadings) -> str:
    days = [day for day in (found.day, found.month) if day is not None]
    shown = " or ".join(f"{day.day} {day:%B %Y}" for day in days)
    return f"Do you mean {shown}? Write {' or '.join(map(date.isoformat, days))}."
