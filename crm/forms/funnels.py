"""The filters of the funnel: when leads were created, their source and their owner."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any, Final

import django_filters
from django import forms
from django.http import QueryDict
from django.utils import timezone

from crm.lists.filter_choices import FilterRequest, colleagues, source_choices
from crm.lists.filter_types import (
    OptionalRowFilter,
    SinceFilter,
    TextChoiceFilter,
    UntilFilter,
    unfiltered,
)

Days = tuple[date, date]  # the first and the last one
# Two years: the leads of one take 0.2 s with half a million in all, and those of 29
# took 1 s.
MAX_DAYS: Final = 731
TOO_LONG: Final = "At most two years can be shown, so these are the leads of this month. Choose fewer days."


def _month(year: int, month: int, *, months: int = 1) -> Days:
    """The days of this many months, starting with `month`. Months below 1 and above 12 are in other years."""
    first, after = (year * 12 + number - 1 for number in (month, month + months))
    return date(first // 12, first % 12 + 1, 1), date(
        after // 12, after % 12 + 1, 1
    ) - timedelta(days=1)


def _longest_until(day: date) -> date:
    """The first day of the longest period that ends on this day."""
    return day - min(timedelta(MAX_DAYS - 1), day - date.min)


def _quarter(today: date) -> int:
    """The first month of the day's quarter."""
    return today.month - (today.month - 1) % 3


THIS_MONTH: Final = "this_month"
PERIODS: Final[dict[str, tuple[str, Callable[[date], Days]]]] = {
    THIS_MONTH: ("This month", lambda today: _month(today.year, today.month)),
    "last_month": ("Last month", lambda today: _month(today.year, today.month - 1)),
    "this_quarter": (
        "This quarter",
        lambda today: _month(today.year, _quarter(today), months=3),
    ),
    "last_quarter": (
        "Last quarter",
        lambda today: _month(today.year, _quarter(today) - 3, months=3),
    ),
    "this_year": ("This year", lambda today: _month(today.year, 1, months=12)),
    "last_12_months": (
        "Last 12 months",
        lambda today: _month(today.year, today.month - 11, months=12),
    ),
}


class FunnelFilter(django_filters.FilterSet):  # type: ignore[misc]
    """The leads of a funnel: those created in a period or, if there are any, between two dates.

    One date alone begins or ends a period of up to MAX_DAYS. An invalid value filters nothing. `asked` has the filters
    with which the list of leads shows the same leads.
    """

    period = django_filters.ChoiceFilter(
        choices=[(name, label) for name, (label, _) in PERIODS.items()],
        label="Created",
        empty_label="Other dates",
        widget=forms.Select({"data-unfolds": ""}),  # app.js shows the dates
        method=unfiltered,
    )
    source = TextChoiceFilter(empty_label="Any source")
    owner = OptionalRowFilter(
        queryset=colleagues, empty_label="Any owner", null_label="No owner"
    )
    since = SinceFilter("created_at", "Created from")
    until = UntilFilter("created_at", "Until")

    def __init__(
        self, data: QueryDict, *, request: FilterRequest, **kwargs: Any
    ) -> None:
        has_dates = bool(data.get("since") or data.get("until"))
        period = "" if has_dates else data.get("period") or THIS_MONTH
        super().__init__({**data.dict(), "period": period}, request=request, **kwargs)
        self.filters["source"].extra["choices"] = source_choices(
            request.membership.company, data.get("source", "")
        )
        self.form.full_clean()
        cleaned = self.form.cleaned_data
        cleaned["since"], cleaned["until"] = self._days()

    def _days(self) -> tuple[date, date | None]:
        cleaned, today = self.form.cleaned_data, timezone.localdate()
        since, until = cleaned.get("since"), cleaned.get("until")
        if not (since or until):
            _, days_of = PERIODS[cleaned.get("period") or THIS_MONTH]
            return days_of(today)
        last = min(until or today, today)
        since = since or _longest_until(last)
        if (last - since).days < MAX_DAYS:
            return since, until
        self.form.add_error(None, TOO_LONG)
        _, days_of = PERIODS[THIS_MONTH]
        return days_of(today)

    @property
    def asked(self) -> dict[str, str]:
        cleaned = self.form.cleaned_data
        names = {"since": "created_from", "until": "created_until", "source": "source"}
        asked = {
            name: str(cleaned[own]) for own, name in names.items() if cleaned.get(own)
        }
        owner = cleaned.get("owner")
        return {**asked, "owner": str(getattr(owner, "pk", owner))} if owner else asked
