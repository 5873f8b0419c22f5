"""The period of a report."""

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

USUAL_DAYS: Final = 30
DAYS_AT_MOST: Final = 366
SANE: Final = [MinValueValidator(date(2000, 1, 1)), MaxValueValidator(date(2199, 12, 31))]  # no database trips over it


class PeriodForm(forms.Form):
    """A rule and some days, from the address. A value that makes no sense narrows nothing."""

    rule = forms.ModelChoiceField(
        label="Rule", required=False, queryset=ConversionRule.objects.none(), empty_label="Any"
    )
    since = forms.DateField(label="From", required=False, validators=SANE, widget=forms.DateInput({"type": "date"}))
    until = forms.DateField(label="Until", required=False, validators=SANE, widget=forms.DateInput({"type": "date"}))

    def __init__(self, *args: Any, company: Company, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        rules = self.fields["rule"]
        assert isinstance(rules, forms.ModelChoiceField)
        rules.queryset = ConversionRule.objects.for_company(company)

    def clean(self) -> None:
        since, until = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        if since and until and until < since:
            raise ValidationError("The period ends before it begins.")

    @property
    def choices(self) -> list[forms.BoundField]:
        """What is chosen from a list; the dates stand apart."""
        return [field for field in self.visible_fields() if isinstance(field.field, forms.ChoiceField)]

    @property
    def not_understood(self) -> list[str]:
        """The names of the filters whose value makes no sense."""
        return [str(self[name].label) for name in self.errors if name in self.fields]

    @property
    def asked(self) -> dict[str, str]:
        """What is asked for, as it came: for a form that asks for the same."""
        return {name: self.data[name] for name in self.fields if self.data.get(name)}


class OverviewForm(PeriodForm):
    """Whose numbers, and of which days. Dates go before a period of days, and USUAL_DAYS stand in for neither."""

    period = forms.TypedChoiceField(
        label="Period",
        required=False,
        coerce=int,
        empty_value=None,
        choices=[(7, "Last 7 days"), (30, "Last 30 days"), (90, "Last 90 days"), ("", "Other dates")],
    )

    def __init__(self, data: QueryDict, **kwargs: Any) -> None:
        has_dates = bool(data.get("since") or data.get("until"))
        period = "" if has_dates else data.get("period") or str(USUAL_DAYS)
        super().__init__({**data.dict(), "period": period}, **kwargs)

    def clean(self) -> None:
        super().clean()
        since, until = self._dates()
        if (until - since).days >= DAYS_AT_MOST:
            raise ValidationError(f"Choose at most {DAYS_AT_MOST} days.")

    def wanted(self) -> ReportPeriod:
        """What is asked for, as far as it makes sense."""
        usual = days_ago(USUAL_DAYS - 1), days_ago(0)
        since, until = self._dates() if self.is_valid() else usual
        return ReportPeriod(since, until, self.cleaned_data.get("rule"))

    def _dates(self) -> tuple[date, date]:
        asked, today = self.cleaned_data, days_ago(0)
        since, until = asked.get("since"), asked.get("until")
        if since is None and until is None:
            return days_ago((asked.get("period") or USUAL_DAYS) - 1), today
        last: date = until or max(today, since or today)
        return since or last - timedelta(days=USUAL_DAYS - 1), last


class WeekForm(forms.Form):
    """Which week, by any day in it."""

    week = forms.DateField(required=False, validators=SANE)

    def day(self) -> date | None:
        """The day, None where it was left out or makes no sense."""
        self.is_valid()
        day: date | None = self.cleaned_data.get("week")
        return day
