"""Sign-in by e-mail address, and our adapters for allauth: sign-up, error messages and e-mail."""

from typing import Any, Final
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.backends import ModelBackend
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils.http import url_has_allowed_host_and_scheme

from crm.accounts import mails
from crm.accounts.client_addresses import client_address, client_network
from crm.models import User, crypto
from crm.models.addresses import find_address
from crm.services.people import confirm_address

# No username, so that an unknown address takes as long as a known one.
NOBODY: Final = "nobody@"
WAYS_TO_CONFIRM: Final = {
    "reauthenticate": "Use your password",
    "mfa_reauthenticate": "Use a code",
    "mfa_reauthenticate:webauthn": "Use a passkey",
}


class EmailBackend(ModelBackend):
    """Signs in with an e-mail address, in any spelling, or with a username that is not an address.

    A username that looks like an address can't be used: it would be a second name for the account, with confirmation
    and failed attempts of its own.
    """

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> Any:
        name = str(username or kwargs.get("email") or "").strip()
        if "@" in name:
            user = User.objects.with_address(name)
            name = user.username if user else NOBODY
        return super().authenticate(request, username=name, password=password)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": "Incorrect e-mail address or password. Check both and try again.",
        "duplicate_email": "This is your address already, or the new one that you have yet to confirm.",
        "too_many_login_attempts": "Too many failed attempts. Wait 15 minutes, then try again.",
        "rate_limited": "Too many failed attempts. Wait 15 minutes, then try again.",
        "enter_current_password": "Incorrect password.",
        "incorrect_password": "Incorrect password.",
        "incorrect_code": "This code is incorrect or has already been used. Wait for the next one.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return settings.SIGNUP

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request)

    def is_safe_url(self, url: str | None) -> bool:
        """True only for URLs of the host of this request."""
        request = context.request
        return url_has_allowed_host_and_scheme(
            url, {request.get_host()}, require_https=request.is_secure()
        )

    def pre_login(
        self, request: HttpRequest, user: User, **kwargs: Any
    ) -> HttpResponse | None:
        """Mark the address of a user created by the operator as confirmed: only sign-up requires confirmation."""
        if user.email and not EmailAddress.objects.filter(user=user).exists():
            confirm_address(user)
        response: HttpResponse | None = super().pre_login(request, user, **kwargs)
        return response

    def populate_username(self, request: HttpRequest, user: User) -> None:
        """Do nothing: `User.save` sets the username to the address."""

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Confirm the address. Returns False, with a message, if another account has taken it since the link was sent.

        allauth checks only addresses that others have confirmed; the database also rejects those that they use.
        """
        try:
            with transaction.atomic():
                is_confirmed = bool(super().confirm_email(request, email_address))
        except IntegrityError:
            failed = "account/messages/email_confirmation_failed.txt"
            self.add_message(
                request, messages.ERROR, failed, {"email": email_address.email}
            )
            is_confirmed = False
        if not is_confirmed:
            EmailAddress.objects.filter(pk=email_address.pk, primary=False).delete()
        return is_confirmed

    def _get_login_attempts_cache_key(
        self, request: HttpRequest, **credentials: Any
    ) -> str:
        """Count failures per name *and* client address, so that no one can lock out others from elsewhere."""
        name = credentials.get("email") or credentials.get("username", "")
        return f"{client_network(request)} {find_address(name) or name.casefold()}"

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, str]]:
        methods = super().get_reauthentication_methods(user)
        return [
            {**method, "description": WAYS_TO_CONFIRM[method["id"]]}
            for method in methods
        ]

    def get_email_confirmation_url(
        self, request: HttpRequest, emailconfirmation: Any
    ) -> str:
        return at_our_site(
            super().get_email_confirmation_url(request, emailconfirmation)
        )

    def send_confirmation_mail(
        self, request: HttpRequest, emailconfirmation: Any, signup: bool
    ) -> None:
        """Send the link. If another account has the address, the mail says so instead: the page must not reveal it."""
        address = emailconfirmation.email_address
        others = User.objects.filter(email=address.email).exclude(pk=address.user_id)
        # A sign-up has checked this already. Another query would make its response time differ.
        if not signup and others.exists():
            self.send_account_already_exists_mail(address.email)
        else:
            super().send_confirmation_mail(request, emailconfirmation, signup)

    def send_mail(
        self, template_prefix: str, email: str, context: dict[str, Any]
    ) -> None:
        """Queue an e-mail made from our templates. It is sent after the response."""
        mails.queue_message(mails.render(template_prefix, email, context))


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Encrypts second factors in the database: no one can sign in with a copy of it."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": "This code is incorrect or has already been used. Wait for the next one.",
        "too_many_codes": "Too many wrong codes. Wait 15 minutes, then try again.",
        "too_many_codes_in_all": (
            "Too many wrong codes were entered for your account today, from several addresses. Someone may know your "
            "password. Set a new one, then sign in with it, or use a passkey."
        ),
        "too_many_codes_by_provider": (
            "Too many wrong codes were entered for your account today, from several addresses. "
            "Sign in with your password instead, or use a passkey."
        ),
        "unverified_email": "Confirm your e-mail address first.",
        "unknown_passkey": "This passkey could not be checked. Try again, or choose another way.",
        "all_unreadable": (
            "No code can be checked: this installation has lost the encryption key of your second factor. "
            "Ask the operator of LeadMachine to reset it."
        ),
        "totp_unreadable": (
            "Your app's codes can't be checked: this installation has lost their encryption key. "
            "Enter one of your recovery codes."
        ),
        "recovery_codes_unreadable": (
            "This code is incorrect. Your recovery codes can't be checked: this installation has lost their encryption "
            "key. Enter the current code from your app."
        ),
    }

    def get_totp_issuer(self) -> str:
        return "LeadMachine"

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        return {**super().get_public_key_credential_rp_entity(), "name": "LeadMachine"}

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:  # noqa: A002 - allauth's name
        count = Authenticator.objects.filter(user=user, type=type).count()
        return f"Passkey {count + 1}" if count else "Passkey"

    def encrypt(self, text: str) -> str:
        return crypto.seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        return crypto.unseal(encrypted_text)


def at_our_site(url: str) -> str:
    """The same page at `SITE_URL`: links in e-mails never depend on a request's Host header."""
    return f"{settings.SITE_URL}{urlsplit(url).path}"
