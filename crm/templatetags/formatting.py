"""Filters for dates, money and numbers, for tones and icons, and for the options of a select."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from string import digits
from typing import Final
from zoneinfo import ZoneInfo

from django import template
from django.contrib.messages.storage.base import Message
from django.db.models import Model
from django.forms import BaseForm, BoundField, CheckboxInput
from django.urls import reverse
from django.utils import dateformat, timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from crm.models import User
from crm.models.bidi import without_bidi_controls
from crm.models.dates import DayOrder, own_order
from crm.models.people import DateStyle

register = template.Library()

NO_BREAK_SPACE = "\u00a0"
SYMBOLS = {"EUR": "€", "GBP": "£", "USD": "$"}
UNITS = ((86_400, "days"), (3600, "h"), (60, "min"), (1, "s"))
SORT_ICONS = {"ascending": "chevron-up", "descending": "chevron-down"}
UNDO = "undo"  # in the tags of a message whose change can be undone
TONE_ICONS = {"good": "check", "wait": "clock", "bad": "x-mark"}
TONES = {
    "debug": "plain",
    "info": "info",
    "success": "good",
    "warning": "wait",
    "error": "bad",
}


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


@register.filter
def when(moment: datetime | None) -> SafeString | str:
    """A time as "24 Nov, 15:00", with the year unless it is this year. The full time is in the title."""
    if moment is None:
        return ""
    local = _local(moment)
    return _moment(local, f"{_day_pattern(local)}, {_patterns().time}")


@register.filter
def ago(moment: datetime | None) -> SafeString | str:
    """How long ago: "just now", "12 min ago", "3 h ago"; from a day on like `when`. The full time is in the title."""
    minutes = (
        int((timezone.now() - moment).total_seconds() // 60)
        if moment is not None
        else 0
    )
    if moment is None or minutes >= 24 * 60:
        return when(moment)
    local = _local(moment)
    past = (
        f"{minutes // 60}{NO_BREAK_SPACE}h ago"
        if minutes >= 60
        else f"{minutes}{NO_BREAK_SPACE}min ago"
    )
    return _time(local.isoformat(), _full(local), past if minutes > 0 else "just now")


@register.filter
def day(value: date | None) -> SafeString | str:
    """A date as "24 Nov 2026"."""
    if value is None:
        return ""
    return _day(value, _patterns().day)


@register.filter
def short_day(value: date) -> SafeString:
    """A date as "24 Nov", or as "Nov 2027" if it is in another year. The full date is in the title."""
    return _day(
        value,
        _patterns().short_day if value.year == timezone.localdate().year else "M Y",
    )


@register.filter
def clock(value: time) -> str:
    """A time of the day as "15:00"."""
    return dateformat.time_format(value, _patterns().time)


@register.filter
def time_of(moment: datetime) -> SafeString:
    """The time of the day of a moment, as "15:00". The full time is in the title."""
    return _moment(_local(moment), _patterns().time)


@register.filter
def age(moment: datetime) -> str:
    """The whole days since then, as "4 d"."""
    return f"{(timezone.now() - moment).days:,}{NO_BREAK_SPACE}d"


@register.filter
def day_of(moment: datetime) -> SafeString:
    """The day of a time as "24 Nov", with the year unless it is this year. The full time is in the title."""
    local = _local(moment)
    return _moment(local, _day_pattern(local))


def _local(moment: datetime) -> datetime:
    return timezone.localtime(moment, ZoneInfo(_zone.get()) if _zone.get() else None)


def _patterns() -> DatePatterns:
    return PATTERNS[DateStyle(_style.get())]


def _day_pattern(local: datetime) -> str:
    return (
        _patterns().short_day
        if local.year == timezone.localdate().year
        else _patterns().day
    )


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


@register.filter
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


@register.filter
def dialled(phone: str) -> str:
    """A phone number as in a `tel:` link: digits, with the plus in front if there is one."""
    plus = "+" if phone.lstrip().startswith("+") else ""
    return plus + "".join(character for character in phone if character in digits)


@register.filter
def grouped(number: int) -> str:
    """A whole number with thousands separators."""
    return f"{number:,}"


@register.filter
def initials(name: object) -> str:
    """The initials of a name: of "Anna de Vries", "AV"."""
    words = str(name).split()
    return "".join(word[0].upper() for word in words[:1] + words[1:][-1:])


@register.filter
def duration(seconds: float | None) -> str:
    """A duration in seconds, as two digits and a unit: "1.4 s", "12 min", "3.5 h", "40 days"."""
    if seconds is None:
        return "–"  # noqa: RUF001 - a dash instead of a number
    size, unit = next((step for step in UNITS if seconds >= 2 * step[0]), UNITS[-1])
    number = seconds / size
    return (
        f"{number:.1f}{NO_BREAK_SPACE}{unit}"
        if number < 10
        else f"{number:.0f}{NO_BREAK_SPACE}{unit}"
    )


@register.filter
def tone(level: str) -> str:
    """The tone of a message of this level."""
    return TONES.get(level, "plain")


@register.filter
def allows(may: Mapping[str, bool], action: str) -> bool:
    """True if the member may do this action. `may` comes from the context."""
    return may.get(action, False)


@register.filter
def tone_icon(tone: str) -> str:
    """The icon in a pill of this tone."""
    return TONE_ICONS.get(tone, "minus")


@register.filter
def is_checkbox(field: BoundField) -> bool:
    """True for a single checkbox, whose label goes next to it."""
    return isinstance(field.field.widget, CheckboxInput)


@register.filter
def ignored_filters(form: BaseForm) -> list[str]:
    """The labels of a filter form's fields with invalid values, which filter nothing."""
    return [str(form[name].label) for name in form.errors if name in form.fields]


@register.filter
def without_bidi(text: str) -> str:
    """A text that someone typed, for an attribute or a title; in an element, a <bdi> isolates it."""
    return without_bidi_controls(text)


@register.filter
def as_options(rows: Iterable[Model], chosen: Model) -> SafeString:
    """The options of a select with these rows, and with the one that is chosen, even if it is not among them.

    As a loop in the template, they took half of the time of a board with 250 cards.
    """
    offered = list(rows)
    shown = offered if chosen in offered else [*offered, chosen]
    options = ((row.pk, " selected" if row == chosen else "", row) for row in shown)
    return format_html_join("\n", '<option value="{}"{}>{}</option>', options)


@register.filter
def sort_icon(direction: str) -> str:
    """The icon next to a column's name, for its `aria-sort`."""
    return SORT_ICONS.get(direction, "chevron-up-down")


@dataclass(frozen=True)
class Undoable:
    """How to undo what a message says: the URL to post to, and in how many seconds it is sent to LinkedIn, if it is."""

    url: str
    seconds: int | None


@register.filter
def undo(message: Message) -> Undoable | None:
    """How to undo what this message says, None if it can't be undone (`crm.views.undo.tell`)."""
    kind, _, rest = (message.extra_tags or "").partition(":")
    if kind != UNDO:
        return None
    action, _, seconds = rest.partition(":")
    return Undoable(reverse("undo", args=[action]), int(seconds) if seconds else None)
