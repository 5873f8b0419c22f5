"""Finding events, and the small forms beside the log."""

from datetime import timedelta

from django import forms

from capi.forms.reports import SANE, PeriodForm
from capi.models import CrmEventName
from capi.models.choices import Reason
from capi.models.functions import days_ago, monday_of, start_of
from capi.selectors.events import NO_REASON, EventFilter
from capi.selectors.state_groups import StateFilter


class HashForm(forms.Form):
    """An address to hash. Whatever it is, the page says what it thinks of it."""

    address = forms.CharField(
        label="E-mail address",
        required=False,
        strip=False,
        max_length=1000,
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}),
    )


class EventFilterForm(PeriodForm):
    """How Recent Events is narrowed down."""

    field_order = ("event", "rule", "reason", "period")

    state = forms.ChoiceField(required=False, choices=StateFilter.choices, widget=forms.HiddenInput)
    reason = forms.ChoiceField(
        label="Reason",
        required=False,
        choices=[("", "Any"), *((reason.value, reason.label) for reason in Reason if reason), (NO_REASON, "None")],
    )
    event = forms.ChoiceField(label="CRM event", required=False, choices=[("", "Any"), *CrmEventName.choices])
    period = forms.TypedChoiceField(
        label="Period",
        required=False,
        coerce=int,
        empty_value=None,
        choices=[("", "Any time"), (1, "Today"), (7, "Last 7 days"), (30, "Last 30 days"), (90, "Last 90 days")],
    )
    week = forms.DateField(
        label="Happened in the week of",
        required=False,
        validators=SANE,
        widget=forms.DateInput({"type": "date"}),
    )
    request = forms.IntegerField(label="Request", required=False, min_value=1, max_value=2**63 - 1)
    before = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1, widget=forms.HiddenInput)
    after = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1, widget=forms.HiddenInput)

    def wanted(self) -> EventFilter:
        """What is asked for. A period of days goes before dates."""
        self.is_valid()
        asked = self.cleaned_data
        since, until = asked.get("since"), asked.get("until")
        if asked.get("period") is not None:
            since, until = days_ago(asked["period"] - 1), None
        return EventFilter(
            chip=asked.get("state", ""),
            rule=asked.get("rule"),
            crm_event=asked.get("event", ""),
            reason=asked.get("reason", ""),
            since=start_of(since) if since else None,
            until=start_of(until + timedelta(days=1)) if until else None,
            week=monday_of(asked["week"]) if asked.get("week") else None,
            request=asked.get("request"),
            before=asked.get("before"),
            after=asked.get("after"),
        )


class BeforeForm(forms.Form):
    """Where a page of the past alerts begins, from the address."""

    before = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)


class MailChoiceForm(forms.Form):
    """What one gets by mail: a box that is not ticked means no."""

    alerts = forms.BooleanField(label="When something changes: one mail for each change", required=False)
    weekly = forms.BooleanField(label="On Monday morning: the reconcile of the week before", required=False)
