"""The forms of the LinkedIn pages. What is checked lives in `capi.services` and the models; here it gets its field."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.http import QueryDict
from django.utils.html import format_html
from django.utils.safestring import SafeString

from capi import services
from capi.advice import EVENTS
from capi.models import ConversionRule, CrmEventName, clean_linkedin_id
from capi.reads.counts import Asked
from capi.reads.log import NO_REASON, Chip, Wanted
from capi.reads.moments import days_ago, monday_of, start_of
from capi.reasons import Reason
from crm.models import Company

ID_WITH_PREFIX_MAX_LENGTH: Final = 100
USUAL_DAYS: Final = 30
DAYS_AT_MOST: Final = 366
SANE: Final = [MinValueValidator(date(2000, 1, 1)), MaxValueValidator(date(2199, 12, 31))]  # no database trips over it


class TokenForm(forms.Form):
    """Step 1. The token goes in and never comes out again: neither the form nor its errors repeat it."""

    token = forms.CharField(
        label="Access token",
        strip=False,
        widget=forms.PasswordInput({"autocomplete": "off", "spellcheck": "false"}),
        error_messages={"required": "Paste the access token from Campaign Manager."},
    )
    ad_account_id = forms.CharField(
        label="Ad account id (optional)",
        required=False,
        max_length=ID_WITH_PREFIX_MAX_LENGTH,
        help_text="The digits beside the account's name in Campaign Manager. LinkedIn is asked for its rules.",
        widget=forms.TextInput({"inputmode": "numeric", "autocomplete": "off"}),
        error_messages={"max_length": "An ad account id has at most 19 digits."},
    )

    expires_on = forms.DateField(
        label="Expires on (optional)",
        required=False,
        help_text="Only if the token has an end: LeadMachine then warns you in time. One that Campaign Manager "
        "generates has none.",
        widget=forms.DateInput({"type": "date", "autocomplete": "off"}),
        validators=SANE,
        error_messages={"invalid": "Enter a date, such as 2027-03-31."},
    )

    def clean_expires_on(self) -> date | None:
        day: date | None = self.cleaned_data["expires_on"]
        if day is not None and day <= days_ago(0):
            raise ValidationError("A token that ends on this day is of no use any more.")
        return day

    def clean_token(self) -> str:
        return services.clean_token(self.cleaned_data["token"])

    def clean_ad_account_id(self) -> str:
        return services.clean_ad_account_id(self.cleaned_data["ad_account_id"])


class RuleForm(forms.ModelForm):  # type: ignore[type-arg]
    """Step 2. A rule of one company, which is given and never a field."""

    crm_event = forms.ChoiceField(
        label="CRM event",
        widget=forms.RadioSelect,
        error_messages={"required": "Choose the CRM event that this rule reports."},
    )
    linkedin_id = forms.CharField(
        label="LinkedIn rule id",
        max_length=ID_WITH_PREFIX_MAX_LENGTH,
        help_text="The id of the conversion rule in Campaign Manager. You may paste it with its "
        "“urn:lla:llaPartnerConversion:” in front.",
        widget=forms.TextInput({"inputmode": "numeric", "autocomplete": "off"}),
        error_messages={
            "required": "Paste the id of the conversion rule from Campaign Manager.",
            "max_length": "A LinkedIn rule id has at most 19 digits.",
        },
    )

    class Meta:
        model = ConversionRule
        fields = ("crm_event", "name", "linkedin_id", "frequency", "send_value", "is_active")
        labels = {"is_active": "Active", "send_value": "Send the deal's value"}
        help_texts = {
            "name": "As you want to read it in Recent Events, for example “Qualified lead”.",
            "frequency": "How often one lead, or one deal, may fire this rule.",
            "send_value": "The deal's amount and currency. Rules for lead events have no value to send.",
            "is_active": "Off: events that happen meanwhile are not sent, unless by a backfill later.",
        }

    def __init__(self, *args: Any, company: Company, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance.company = company
        field = self.fields["crm_event"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = list(_advised_events())
        if self.instance.pk:
            field.disabled = True
            field.help_text = "This can't be changed, so that the log stays true. For another CRM event add a rule."

    @classmethod
    def typed(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """What somebody has typed into the form so far, to be shown again without checking it."""
        if not data:
            return {}
        ticks = {name: name in data for name in ("send_value", "is_active")}
        return {**{name: data[name] for name in cls.Meta.fields if name in data}, **ticks}

    def clean_linkedin_id(self) -> str:
        return clean_linkedin_id(self.cleaned_data["linkedin_id"])

    def _get_validation_exclusions(self) -> set[str]:
        # The company is no field, but it is part of what makes a rule unique.
        return super()._get_validation_exclusions() - {"company"}  # type: ignore[misc, no-any-return]


def _advised_events() -> Iterable[tuple[str, SafeString]]:
    """Each CRM event with when it fires and what it usually is in Campaign Manager."""
    for name in CrmEventName:
        advice = EVENTS[name]
        warning = format_html('<span class="warning">{}</span>', advice.warning) if advice.warning else ""
        yield (
            name.value,
            format_html(
                "<strong>{}</strong><small>{} Usual type in LinkedIn: <b>{}</b>.{}</small>",
                name.label, advice.fires, advice.linkedin_type, warning,
            ),
        )  # fmt: skip


class HashForm(forms.Form):
    """An address to hash. Whatever it is, the page says what it thinks of it."""

    address = forms.CharField(
        label="E-mail address",
        required=False,
        strip=False,
        max_length=1000,
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off"}),
    )


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


class EventFilterForm(PeriodForm):
    """How Recent Events is narrowed down."""

    field_order = ("event", "rule", "reason", "period")

    state = forms.ChoiceField(required=False, choices=Chip.choices, widget=forms.HiddenInput)
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

    def wanted(self) -> Wanted:
        """What is asked for. A period of days goes before dates."""
        self.is_valid()
        asked = self.cleaned_data
        since, until = asked.get("since"), asked.get("until")
        if asked.get("period") is not None:
            since, until = days_ago(asked["period"] - 1), None
        return Wanted(
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

    def wanted(self) -> Asked:
        """What is asked for, as far as it makes sense."""
        usual = days_ago(USUAL_DAYS - 1), days_ago(0)
        since, until = self._dates() if self.is_valid() else usual
        return Asked(since, until, self.cleaned_data.get("rule"))

    def _dates(self) -> tuple[date, date]:
        asked, today = self.cleaned_data, days_ago(0)
        since, until = asked.get("since"), asked.get("until")
        if since is None and until is None:
            return days_ago((asked.get("period") or USUAL_DAYS) - 1), today
        last: date = until or max(today, since or today)
        return since or last - timedelta(days=USUAL_DAYS - 1), last


class BeforeForm(forms.Form):
    """Where a page of the past alerts begins, from the address."""

    before = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)


class MailChoiceForm(forms.Form):
    """What one gets by mail: a box that is not ticked means no."""

    alerts = forms.BooleanField(label="When something changes: one mail for each change", required=False)
    weekly = forms.BooleanField(label="On Monday morning: the reconcile of the week before", required=False)


class WeekForm(forms.Form):
    """Which week, by any day in it."""

    week = forms.DateField(required=False, validators=SANE)

    def day(self) -> date | None:
        """The day, None where it was left out or makes no sense."""
        self.is_valid()
        day: date | None = self.cleaned_data.get("week")
        return day
