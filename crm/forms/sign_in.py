"""The form for signing in."""

from django import forms
from django.contrib.auth.forms import AuthenticationForm, UsernameField


class SignInForm(AuthenticationForm):
    username = UsernameField(
        label="E-mail address",
        widget=forms.TextInput(attrs={"autofocus": True, "inputmode": "email", "autocapitalize": "none"}),
    )
    error_messages = {
        "invalid_login": "This e-mail address and password do not match. Both are needed as they were set up.",
        "inactive": "This account is switched off. Ask an admin of your company.",
    }
