"""Forms for sign-in, sign-up and second factors: allauth's, with our labels and checks."""

from typing import Any, Final, cast
from uuid import uuid4

from allauth.account import forms as account
from allauth.account.fields import EmailField
from allauth.core import context, ratelimit
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.base import forms as mfa
from allauth.mfa.totp import forms as totp
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from crm.accounts import mails
from crm.accounts.client_addresses import client_network
from crm.accounts.codes import step_of
from crm.accounts.mfa import CodeMixin
from crm.models import Company, SignInProvider, User
from crm.models.addresses import account_address
from crm.models.validators import (
    CURRENCY_CHOICES,
    time_zones,
    usual_currency,
    usual_time_zone,
    validate_name,
)
from crm.services.companies import create_company
from crm.services.rate_limits import DAY_SECONDS, are_within


class AccountEmailField(EmailField):  # type: ignore[misc]
    """An account's e-mail address, in its normal form."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.widget.attrs.pop("placeholder", None)  # it would only repeat the label

    def to_python(self, value: Any) -> str:
        text: str = super().to_python(value)
        return account_address(text) if text else text


class PlainLabelsMixin:
    """Sets our labels and removes placeholders, which would only repeat them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, forms.Field] = self.fields  # type: ignore[attr-defined]
        for name, field in fields.items():
            field.widget.attrs.pop("placeholder", None)
            field.label = LABELS.get(name, str(field.label).capitalize())
            if name == "password1":
                field.help_text = GOOD_PASSWORD


TIME_ZONE_CHOICES: Final = [(name, name.replace("_", " ")) for name in time_zones()]
GOOD_PASSWORD: Final = (
    "At least 12 characters, not only digits, and not a common password."  # noqa: S105 - a sentence
)
TOO_MANY_SIGN_UPS: Final = "Too many sign-ups today from your network or with this address. Try again tomorrow."
TOO_MANY_GUESSES: Final = (
    "Too many failed attempts. You were signed out. Sign in again."
)
MAILED_ENOUGH: Final = (
    "We have just sent a link to this address, or five today. Open the newest one, or"
    " try again later."
)
# A day, because its owner may not have asked for the mails.
SIGN_UPS_OF_AN_ADDRESS: Final = 3
LABELS: Final = {
    "email": "E-mail address",
    "oldpassword": "Current password",
    "password2": "Repeat the password",
    "code": "Code",
}


class SignInForm(PlainLabelsMixin, account.LoginForm):  # type: ignore[misc]
    username = AccountEmailField(
        label="E-mail address",
        widget=forms.TextInput(
            attrs={
                "autofocus": True,
                "inputmode": "email",
                "autocapitalize": "none",
                "autocomplete": "username",
            }
        ),
    )
    field_order = ("username", "password")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["login"]
        self.order_fields(self.field_order)

    def clean_username(self) -> str:
        # allauth expects this name.
        self.cleaned_data["login"] = self.cleaned_data["username"]
        return str(self.cleaned_data["username"])


class CompanyCodeForm(forms.Form):
    """The code of a company that signs in with its own provider, or its whole sign-in link."""

    code = forms.CharField(
        label="Company code or sign-in link",
        max_length=200,
        help_text="Your admin has it: 12 letters and digits, or a link that ends with them.",
        widget=forms.TextInput(
            attrs={"autofocus": True, "autocapitalize": "none", "autocomplete": "off"}
        ),
    )

    def clean_code(self) -> str:
        code = (
            str(self.cleaned_data["code"])
            .strip()
            .rstrip("/")
            .rpartition("/")[2]
            .lower()
        )
        if not SignInProvider.objects.filter(
            code=code, company__is_active=True
        ).exists():
            raise ValidationError(
                "No company has this code. Check it, or ask your admin."
            )
        return code


class SignUpForm(PlainLabelsMixin, account.SignupForm):  # type: ignore[misc]
    """Creates a company and its first admin."""

    cleaned_data: dict[str, Any]
    email = AccountEmailField()
    company = forms.CharField(
        label="Company",
        max_length=Company._meta.get_field("name").max_length,
        validators=[validate_name],
    )
    first_name = forms.CharField(
        label="First name",
        max_length=User._meta.get_field("first_name").max_length,
        validators=[validate_name],
    )
    last_name = forms.CharField(
        label="Last name",
        max_length=User._meta.get_field("last_name").max_length,
        validators=[validate_name],
    )
    currency = forms.ChoiceField(
        label="Currency",
        choices=CURRENCY_CHOICES,
        help_text="The default for new deals.",
    )
    # The browser knows its time zone, but sends it nowhere: app.js selects it.
    time_zone = forms.ChoiceField(
        label="Time zone",
        choices=TIME_ZONE_CHOICES,
        widget=forms.Select({"data-guess-time-zone": True}),
    )
    field_order = (
        "company",
        "currency",
        "time_zone",
        "first_name",
        "last_name",
        "email",
        "password1",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        request = context.request
        self.fields["currency"].initial = usual_currency(
            request.headers.get("Accept-Language", "") if request else ""
        )
        self.fields["time_zone"].initial = usual_time_zone()
        if self.is_bound:
            # Keep the user's choice.
            del self.fields["time_zone"].widget.attrs["data-guess-time-zone"]

    def clean(self) -> dict[str, Any]:
        """Raises ValidationError if the day's limit of sign-ups is reached: each sends a mail to the address."""
        data: dict[str, Any] = super().clean()
        if not self.errors and not self._may_sign_up(data["email"]):
            raise ValidationError(TOO_MANY_SIGN_UPS)
        return data

    def _may_sign_up(self, email: str) -> bool:
        network = client_network(context.request)
        most = {
            f"sign-ups:from:{network}": settings.SIGNUPS_PER_DAY,
            f"sign-ups:of:{email}": SIGN_UPS_OF_AN_ADDRESS,
        }
        return are_within(most, seconds=DAY_SECONDS)

    def try_save(self, request: HttpRequest) -> tuple[User | None, HttpResponse | None]:
        """Sign up, or send a mail to the address that it has an account already. Either takes the same time."""
        if self.account_already_exists:
            self._rehearse(request)
        saved: tuple[User | None, HttpResponse | None] = super().try_save(request)
        return saved

    def _rehearse(self, request: HttpRequest) -> None:
        """Do the work of a sign-up, then roll it back: the 150 ms for hashing the password alone would give it away."""
        given = self.cleaned_data
        with transaction.atomic():
            self.account_already_exists, self.cleaned_data = (
                False,
                {**given, "email": f"{uuid4().hex}@example.invalid"},
            )
            self.save(request)
            transaction.set_rollback(True)
        self.account_already_exists, self.cleaned_data = True, given

    @transaction.atomic
    def save(self, request: HttpRequest) -> User:
        user: User = super().save(request)
        data = self.cleaned_data
        create_company(
            name=data["company"],
            admin=user,
            currency=data["currency"],
            time_zone=data["time_zone"],
        )
        return user


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]
    """A user's own name, and how dates and times are shown to them."""

    class Meta:
        model = User
        fields = ("first_name", "last_name", "date_style", "time_zone")
        labels = {"date_style": "Dates", "time_zone": "Time zone"}
        widgets = {
            "time_zone": forms.Select(
                choices=[("", "The company's"), *TIME_ZONE_CHOICES]
            )
        }
        help_texts = {
            "time_zone": "Times on your pages. Filters and reports use the company's time zone."
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["first_name"].required = True


class NewAddressForm(PlainLabelsMixin, account.AddEmailForm):  # type: ignore[misc]
    """A new e-mail address, which takes effect once it is confirmed."""

    email = AccountEmailField()

    def clean_email(self) -> str:
        """The address. Raises ValidationError if it has been sent enough mails: its owner may be a stranger."""
        email: str = super().clean_email()
        if not ratelimit.consume(
            context.request, action="confirm_email", key=email.lower(), dry_run=True
        ):
            raise ValidationError(MAILED_ENOUGH)
        return email


class ResetPasswordForm(PlainLabelsMixin, account.ResetPasswordForm):  # type: ignore[misc]
    """Requests a link. Whether the address has an account is checked only when it is sent: see `crm.accounts.mails`."""

    email = AccountEmailField()

    def clean_email(self) -> str:
        """The address. allauth's method would query the user here."""
        return str(self.cleaned_data["email"])

    def save(self, request: HttpRequest, **kwargs: Any) -> str:
        address: str = self.cleaned_data["email"]
        mails.queue_password_reset(address)
        return address


class NewPasswordForm(PlainLabelsMixin, account.ResetPasswordKeyForm):  # type: ignore[misc]
    pass


class FewGuessesMixin:
    """Asks a signed-in user for something secret. After five wrong answers in 15 minutes, the next ends the session.

    Only that session ends, because anyone who guesses has found it open. So no one else is locked out.
    """

    guessed = "password"

    def full_clean(self) -> None:
        super().full_clean()  # type: ignore[misc]
        if self.guessed in cast(forms.Form, self).errors:
            self._count_guess(context.request)

    def _count_guess(self, request: HttpRequest) -> None:
        if not ratelimit.consume(
            request, action="login_failed", key=f"guesses {request.session.session_key}"
        ):
            logout(request)
            messages.error(request, TOO_MANY_GUESSES)
            raise ImmediateHttpResponse(redirect("login"))


class ChangePasswordForm(PlainLabelsMixin, FewGuessesMixin, account.ChangePasswordForm):  # type: ignore[misc]
    guessed = "oldpassword"


class PasswordAgainForm(PlainLabelsMixin, FewGuessesMixin, account.ReauthenticateForm):  # type: ignore[misc]
    pass


class CodeForm(PlainLabelsMixin, CodeMixin, mfa.AuthenticateForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].widget.attrs["autofocus"] = True


class CodeAgainForm(
    PlainLabelsMixin,
    FewGuessesMixin,
    CodeMixin,
    mfa.ReauthenticateForm,  # type: ignore[misc]
):
    guessed = "code"


class FirstCodeForm(PlainLabelsMixin, totp.ActivateTOTPForm):  # type: ignore[misc]
    def step(self) -> int | None:
        """The time step of the code."""
        return step_of(self.secret, self.cleaned_data["code"])
