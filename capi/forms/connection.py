"""The access token and the ad account."""

from datetime import date

from django import forms
from django.core.exceptions import ValidationError

from capi import services
from capi.forms.reports import SANE
from capi.forms.rules import ID_WITH_PREFIX_MAX_LENGTH
from capi.models.functions import days_ago

# --- The forms of the LinkedIn pages. What is checked lives in `capi.services` and the models; here it gets its field.


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
