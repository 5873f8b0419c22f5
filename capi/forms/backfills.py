"""Which past events to send: the rule and the period."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from capi.models import ConversionRule
from capi.models.functions import database_now, days_ago
from crm.models import Company
from crm.models.company import start_of

OTHER_DATES: Final = 0


class BackfillForm(forms.Form):
    """A chosen number of days takes precedence over dates."""

    rule = forms.ModelChoiceField(
        label="Rule",
        required=False,
        queryset=ConversionRule.objects.none(),
        empty_label="All active rules",
    )
    period = forms.TypedChoiceField(
        label="Period",
        coerce=int,
        choices=[
            (7, "Last 7 days"),
            (30, "Last 30 days"),
            (90, "Last 90 days"),
            (OTHER_DATES, "Other dates"),
        ],
        initial=30,
    )
    since = forms.DateField(
        label="From (for other dates)",
        required=False,
        widget=forms.DateInput({"type": "date"}),
    )
    until = forms.DateField(
        label="Until (for other dates)",
        required=False,
        widget=forms.DateInput({"type": "date"}),
    )

    def __init__(self, *args: Any, company: Company, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.active = ConversionRule.objects.for_company(company).active()
        field = self.fields["rule"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = self.active

    def clean(self) -> None:
        data, oldest = self.cleaned_data, days_ago(settings.EVENT_MAX_AGE_DAYS)
        since, until = data.get("since"), data.get("until")
        if data.get("period") != OTHER_DATES or self.errors:
            return
        if since is None:
            raise ValidationError({"since": "Enter the first day, or choose a period."})
        if since < oldest or since > days_ago(0):
            raise ValidationError(
                {
                    "since": f"Choose a day in the last {settings.EVENT_MAX_AGE_DAYS} days."
                }
            )
        if until and until < since:
            raise ValidationError({"until": "The end date is before the start date."})

    def rules(self) -> Sequence[ConversionRule]:
        """The chosen rule, or all active ones."""
        chosen: ConversionRule | None = self.cleaned_data["rule"]
        return [chosen] if chosen else list(self.active)

    def span(self) -> tuple[datetime, datetime]:
        """The start and end of the period. It ends now at the latest: later events are planned as they happen."""
        now, data = database_now(), self.cleaned_data
        if data["period"] != OTHER_DATES:
            return now - timedelta(days=data["period"]), now
        since, until = start_of(data["since"]), data["until"]
        # start_of the day after the last possible date would overflow.
        if not until or until >= days_ago(0):
            return since, now
        return since, start_of(until + timedelta(days=1))
