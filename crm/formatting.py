"""How values are written: dates and times, money, numbers, durations, names and phone numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from string import digits
from typing import Final
from zoneinfo import ZoneInfo

from django.utils import dateformat, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from crm.models import User
from crm.models.dates import DayOrder, own_order
from crm.models.people import DateStyle

NO_BREAK_SPACE: Final = "\u00a0"
SYMBOLS: Final = {"EUR": "€", "GBP": "£", "USD": "$"}
UNITS: Final = ((86_400, "days"), (3600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True, slots=True)
class DatePatterns:
    """How dates and times are written; `short_day` within this year."""

    day: str
    short_day: str
    time: str = "H:i"


PATTERNS: Final = {
    DateStyle.NAMED: DatePatterns("j M Y", "j M"),
    DateStyle.SLASHES: DatePatterns("d/m/Y", "d/m/Y"),
    DateStyle.DOTS: DatePatterns("d.m.Y", "d.m.Y"),
    DateStyle.US: DatePatterns("M j, Y", "M j", "g:i A"),
    DateStyle.ISO: DatePatterns("Y-m-d", "Y-m-d"),
}
# The order in which a user of this style types dates; others may type them in any.
TYPED: Final = {
    DateStyle.SLASHES: DayOrder.DAY,
    DateStyle.DOTS: DayOrder.DAY,
    DateStyle.US: DayOrder.MONTH,
}
# The style and time zone that the user of this request has chosen. Filters and reports stay in the company's time zone,
# which is the active one.
_style: ContextVar[str] = ContextVar("date_style", default=DateStyle.NAMED)
_zone: ContextVar[str] = ContextVar("time_zone", default="")


@contextmanager
def dates_for(user: User | None) -> Iterator[None]:
    """Write dates and times as this user wants them, and read the dates that they type in the same order."""
    wanted = DateStyle(user.date_style) if user else DateStyle.NAMED
    style, zone = _style.set(wanted), _zone.set(user.time_zone if user else "")
    order = own_order.set(TYPED.get(wanted, ""))
    try:
        yield
    finally:
        own_order.reset(order)
        _style.reset(style)
        _zone.reset(zone)


def when(moment: datetime | None) -> SafeString | str:
    """A time as "24 Nov, 15:00", with the year unless it is this year. The full time is in the title."""
    if moment is None:
        return ""
    local = _local(moment)
    return _moment(local, f"{_day_pattern(local)}, {_patterns().time}")


def ago(moment: datetime | None) -> SafeString | str:
    """How long ago: "just now", "12 min ago", "3 h ago"; from a day on like `when`. The full time is in the title."""
    minutes = 0
    if moment is not None:
        minutes = int((timezone.now() - moment).total_seconds() // 60)
    if moment is None or minutes >= 24 * 60:
        return when(moment)
    local = _local(moment)
    past = (
        f"{minutes // 60}{NO_BREAK_SPACE}h ago"
        if minutes >= 60
        else f"{minutes}{NO_BREAK_SPACE}min ago"
    )
    return _time(local.isoformat(), _full(local), past if minutes > 0 else "just now")


def day(value: date | None) -> SafeString | str:
    """A date as "24 Nov 2026"."""
    if value is None:
        return ""
    return _day(value, _patterns().day)


def short_day(value: date) -> SafeString:
    """A date as "24 Nov", or as "Nov 2027" if it is in another year. The full date is in the title."""
    return _day(
        value,
        _patterns().short_day if value.year == timezone.localdate().year else "M Y",
    )


def clock(value: time) -> str:
    """A time of the day as "15:00"."""
    return dateformat.time_format(value, _patterns().time)


def time_of(moment: datetime) -> SafeString:
    """The time of the day of a moment, as "15:00". The full time is in the title."""
    return _moment(_local(moment), _patterns().time)


def age(moment: datetime) -> str:
    """The whole days since then, as "4 d"."""
    return f"{(timezone.now() - moment).days:,}{NO_BREAK_SPACE}d"


def day_of(moment: datetime) -> SafeString:
    """The day of a time as "24 Nov", with the year unless it is this year. The full time is in the title."""
    local = _local(moment)
    return _moment(local, _day_pattern(local))


def _local(moment: datetime) -> datetime:
    return timezone.localtime(moment, ZoneInfo(_zone.get()) if _zone.get() else None)


def _patterns() -> DatePatterns:
    return PATTERNS[DateStyle(_style.get())]


def _day_pattern(local: datetime) -> str:
    if local.year == timezone.localdate().year:
        return _patterns().short_day
    return _patterns().day


def _moment(local: datetime, pattern: str) -> SafeString:
    return _time(local.isoformat(), _full(local), dateformat.format(local, pattern))


def _full(local: datetime) -> str:
    """As "24 November 2026, 15:00:30 CET"."""
    return f"{full_day(local.date())}, {local:%H:%M:%S} {local.tzname()}"


# A board or a list has few days, and each takes as long as the rest of a row's texts.
@lru_cache(maxsize=1_000)
def full_day(value: date) -> str:
    """A date as "24 November 2026"."""
    return dateformat.format(value, "j F Y")


@lru_cache(maxsize=1_000)
def _day(value: date, pattern: str) -> SafeString:
    return _time(
        value.isoformat(),
        dateformat.format(value, "l, j F Y"),
        dateformat.format(value, pattern),
    )


def _time(machine: str, title: str, text: str) -> SafeString:
    return format_html('<time datetime="{}" title="{}">{}</time>', machine, title, text)


def money(amount: Decimal | None, currency: str = "") -> str:
    """An amount with its currency: "€25,000", or "25,000.50 CHF". Cents only if there are any."""
    if amount is None:
        return ""
    number = (
        f"{amount:,.0f}" if amount == amount.to_integral_value() else f"{amount:,.2f}"
    )
    if currency in SYMBOLS:
        return f"{SYMBOLS[currency]}{number}"
    return f"{number}{NO_BREAK_SPACE}{currency}".strip()


def dialled(phone: str) -> str:
    """A phone number as in a `tel:` link: digits, with the plus in front if there is one."""
    plus = "+" if phone.lstrip().startswith("+") else ""
    return plus + "".join(character for character in phone if character in digits)


def grouped(number: int) -> str:
    """A whole number with thousands separators."""
    return f"{number:,}"


def initials(name: object) -> str:
    """The initials of a name: of "Anna de Vries", "AV"."""
    words = str(name).split()
    return "".join(word[0].upper() for word in words[:1] + words[1:][-1:])


def duration(seconds: float | None) -> str:
    """A duration in seconds, as two digits and a unit: "1.4 s", "12 min", "3.5 h", "40 days"."""
    if seconds is None:
        return "–"  # noqa: RUF001 - a dash instead of a number
    size, unit = next((step for step in UNITS if seconds >= 2 * step[0]), UNITS[-1])
    number = seconds / size
    if number < 10:
        return f"{number:.1f}{NO_BREAK_SPACE}{unit}"
    return f"{number:.0f}{NO_BREAK_SPACE}{unit}"
