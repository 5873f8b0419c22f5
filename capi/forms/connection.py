"""The form for the access token, its ad account and its expiry date."""

from datetime import date
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError

from capi import services
from capi.forms.reports import DATE_LIMITS
from capi.forms.rules import ID_WITH_PREFIX_MAX_LENGTH
from capi.models.functions import days_ago
from crm.forms.changes import ChangesMixin, with_opened


class TokenForm(ChangesMixin, forms.Form):
    """Step 1. Neither the form nor its errors ever show the token again, so a valid one is saved despite other errors.

    If `initial` has `saved_token`, the fingerprint of the saved token, the field may stay empty: that token is kept.
    """

    together: ClassVar[frozenset[str]] = frozenset({"expires_on", "saved_token"})

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
        help_text="The digits next to the account's name in Campaign Manager. Needed to test the token and to read "
        "the account's rules.",
        widget=forms.TextInput({"inputmode": "numeric", "autocomplete": "off"}),
        error_messages={"max_length": "An ad account id has at most 19 digits."},
    )
    expires_on = forms.DateField(
        label="Expires on (optional)",
        required=False,
        help_text="Only if the token expires: LeadMachine then warns you in time. Tokens from Campaign Manager "
        "don't expire.",
        widget=forms.DateInput({"type": "date", "autocomplete": "off"}),
        validators=DATE_LIMITS,
        error_messages={"invalid": "Enter a date, such as 2027-03-31."},
    )
    saved_token = forms.CharField(widget=forms.HiddenInput, required=False)
    error_heading = ""  # "Nothing was saved." unless the token was

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if fingerprint := self.initial.get("saved_token"):
            self.keep_token(fingerprint)

    def keep_token(self, fingerprint: str) -> None:
        """Let the field stay empty."""
        self.fields["token"].required = False
        self[
            "token"
        ].help_text = f"Leave it empty to keep the saved token, {fingerprint}."

    def token_was_saved(self, fingerprint: str) -> None:
        """Prepare the form to be shown again, with the errors of the other fields."""
        self.keep_token(fingerprint)
        seen = dict.fromkeys(with_opened("saved_token"), fingerprint)
        self.data = {**{name: self.data[name] for name in self.data}, **seen}

    def clean_expires_on(self) -> date | None:
        day: date | None = self.cleaned_data["expires_on"]
        if day is not None and day <= days_ago(0):
            raise ValidationError("This token has expired or expires today.")
        return day

    def clean_token(self) -> str:
        token: str = self.cleaned_data["token"]
        if token or self.fields["token"].required:
            return services.clean_token(token)
        return ""

    def clean_ad_account_id(self) -> str:
        return services.clean_ad_account_id(self.cleaned_data["ad_account_id"])

    def clean(self) -> None:
        """Raise ValidationError if someone has changed the same meanwhile. A new token keeps its own expiry date."""
        is_new_token = bool(self.cleaned_data.get("token"))
        of_token = {
            name: self.cleaned_data[name]
            for name in self.together & self.cleaned_data.keys()
            if is_new_token
        }
        try:
            super().clean()
        except ValidationError as error:
            if not is_new_token:
                raise
            raise ValidationError(
                "The ad account was not saved: it was changed after you opened the form. Your change is below. Save "
                "again to overwrite the current one, or cancel to see it."
            ) from error
        finally:
            self.cleaned_data |= of_token

    def _is_stale(self, name: str) -> bool:
        is_of_new_token = name in self.together and bool(self.cleaned_data.get("token"))
        return not is_of_new_token and super()._is_stale(name)
