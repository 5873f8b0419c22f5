"""Filters of the reports: a rule and a period."""

from datetime import date, timedelta
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.http import QueryDict

from capi.models import ConversionRule
from capi.models.functions import days_ago
from capi.selectors.reports import ReportPeriod
from crm.models import Company

DEFAULT_DAYS: Final = 30
MAX_DAYS: Final = 366
# Within every database's range.
DATE_LIMITS: Final = [
    MinValueValidator(date(2000, 1, 1)),
    MaxValueValidator(date(2199, 12, 31)),
]


class PeriodForm(forms.Form):
    """A rule and dates, from the query string. Invalid values are ignored."""

    rule = forms.ModelChoiceField(
        label="Rule",
        required=False,
        queryset=ConversionRule.objects.none(),
        empty_label="Any rule",
    )
    since = forms.DateField(
        label="From",
        required=False,
        validators=DATE_LIMITS,
        widget=forms.DateInput({"type": "date"}),
    )
    until = forms.DateField(
        label="Until",
        required=False,
        validators=DATE_LIMITS,
        widget=forms.DateInput({"type": "date"}),
    )

    def __init__(self, *args: Any, company: Company, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rules = self.fields["rule"]
        assert isinstance(rules, forms.ModelChoiceField)
        rules.queryset = ConversionRule.objects.for_company(company)

    def clean(self) -> None:
        since, until = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        if since and until and until < since:
            raise ValidationError("The end date is before the start date.")

    @property
    def asked(self) -> dict[str, str]:
        """The raw values, for hidden inputs that repeat the query."""
        return {name: self.data[name] for name in self.fields if self.data.get(name)}


class OverviewForm(PeriodForm):
    """The rule and days of the overview. Dates take precedence over a period; without either, the last DEFAULT_DAYS."""

    period = forms.TypedChoiceField(
        label="Period",
        required=False,
        coerce=int,
        empty_value=None,
        choices=[
            (7, "Last 7 days"),
            (30, "Last 30 days"),
            (90, "Last 90 days"),
            ("", "Other dates"),
        ],
        widget=forms.Select({"data-unfolds": ""}),  # the dates: app.js
    )

    def __init__(self, data: QueryDict, **kwargs: Any) -> None:
        has_dates = bool(data.get("since") or data.get("until"))
        period = "" if has_dates else data.get("period") or str(DEFAULT_DAYS)
        super().__init__({**data.dict(), "period": period}, **kwargs)

    def clean(self) -> None:
        super().clean()
        since, until = self._dates()
        if (until - since).days >= MAX_DAYS:
            raise ValidationError(f"Choose at most {MAX_DAYS} days.")

    def report_period(self) -> ReportPeriod:
        """The period and rule; the default period if the dates are invalid."""
        default = days_ago(DEFAULT_DAYS - 1), days_ago(0)
        since, until = self._dates() if self.is_valid() else default
        return ReportPeriod(since, until, self.cleaned_data.get("rule"))

    def _dates(self) -> tuple[date, date]:
        data, today = self.cleaned_data, days_ago(0)
        since, until = data.get("since"), data.get("until")
        if since is None and until is None:
            return days_ago((data.get("period") or DEFAULT_DAYS) - 1), today
        last: date = until or max(today, since or today)
        return since or last - timedelta(days=DEFAULT_DAYS - 1), last


class WeekForm(forms.Form):
    """A week, by any day in it."""

    week = forms.DateField(
        label="Week of",
        required=False,
        validators=DATE_LIMITS,
        widget=forms.DateInput({"type": "date"}),
    )

    def day(self) -> date | None:
        """The day, or None if it is missing or invalid."""
        self.is_valid()
        day: date | None = self.cleaned_data.get("week")
        return day
