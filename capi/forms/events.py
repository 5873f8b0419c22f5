"""Forms for the event log, the hash check and the alerts page."""

from datetime import timedelta

from django import forms

from capi.forms.reports import DATE_LIMITS, PeriodForm
from capi.models import CrmEventName
from capi.models.choices import Reason
from capi.models.functions import days_ago, monday_of
from capi.selectors.event_counts import reason_choices
from capi.selectors.events import NO_REASON, EventFilter
from capi.selectors.state_groups import StateFilter
from crm.forms.changes import ChangesMixin
from crm.forms.filters import SearchableSelect
from crm.models import Company
from crm.models.company import start_of


class HashForm(forms.Form):
    """An address to hash. Any text is valid: if it has no hash, the page explains why."""

    address = forms.CharField(
        label="E-mail address",
        required=False,
        strip=False,
        max_length=1000,
        widget=forms.TextInput(
            {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}
        ),
    )


class EventFilterForm(PeriodForm):
    """The filters of Recent Events."""

    field_order = ("event", "rule", "reason", "period")

    state = forms.ChoiceField(
        required=False, choices=StateFilter.choices, widget=forms.HiddenInput
    )
    reason = forms.ChoiceField(
        label="Reason",
        required=False,
        choices=[
            ("", "Any reason"),
            *((reason.value, reason.label) for reason in Reason if reason),
            (NO_REASON, "None"),
        ],
        widget=SearchableSelect,
    )
    event = forms.ChoiceField(
        label="CRM event",
        required=False,
        choices=[("", "Any CRM event"), *CrmEventName.choices],
    )
    period = forms.TypedChoiceField(
        label="Period",
        required=False,
        coerce=int,
        empty_value=None,
        choices=[
            ("", "Any time"),
            (1, "Today"),
            (7, "Last 7 days"),
            (30, "Last 30 days"),
            (90, "Last 90 days"),
        ],
    )
    week = forms.DateField(
        label="Happened in the week of",
        required=False,
        validators=DATE_LIMITS,
        widget=forms.DateInput({"type": "date"}),
    )
    request = forms.IntegerField(
        label="Request", required=False, min_value=1, max_value=2**63 - 1
    )
    # A key: see LeadSearch.
    search = forms.CharField(required=False, max_length=16, widget=forms.HiddenInput)
    before = forms.IntegerField(
        required=False, min_value=1, max_value=2**63 - 1, widget=forms.HiddenInput
    )
    after = forms.IntegerField(
        required=False, min_value=1, max_value=2**63 - 1, widget=forms.HiddenInput
    )

    def offer_reasons(self, company: Company) -> None:
        """Offer only the reasons that occur. All of them stay valid: links may name others."""
        self.fields["reason"].widget.choices = reason_choices(
            company.pk, self["reason"].value() or ""
        )

    def to_filter(self, search: str = "") -> EventFilter:
        """The filter, without invalid values. A period takes precedence over dates. `search` is the text to find."""
        self.is_valid()
        data = self.cleaned_data
        since, until = data.get("since"), data.get("until")
        if data.get("period") is not None:
            since, until = days_ago(data["period"] - 1), None
        return EventFilter(
            chip=data.get("state", ""),
            rule=data.get("rule"),
            crm_event=data.get("event", ""),
            reason=data.get("reason", ""),
            since=start_of(since) if since else None,
            until=start_of(until + timedelta(days=1)) if until else None,
            week=monday_of(data["week"]) if data.get("week") else None,
            request=data.get("request"),
            search=search,
            before=data.get("before"),
            after=data.get("after"),
        )


class BeforeForm(forms.Form):
    """Where a page of past alerts begins, from the query string."""

    before = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)


class MailChoiceForm(ChangesMixin, forms.Form):
    """Which mails a person wants. An unselected box means no."""

    alerts = forms.BooleanField(
        label="When something changes: one mail per change", required=False
    )
    weekly = forms.BooleanField(
        label="On Monday mornings: how last week's events turned out", required=False
    )
