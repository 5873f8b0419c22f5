"""Where a request comes from, believed only as far as our own proxies tell it."""

import logging
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.core import context
from allauth.core.internal.ratelimit import truncate_ip
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.utils.http import url_has_allowed_host_and_scheme

from crm.models import User, crypto
from crm.services.members import confirm_address

Address = IPv4Address | IPv6Address

UNKNOWN = str(IPv4Address(0))  # a web server that is reached over a socket file tells no address


def client_address(request: HttpRequest) -> str:
    """The IP address of the browser: the last one on the way to us that is not one of `TRUSTED_PROXIES`.

    `X-Forwarded-For` is read from its end, and only as far as a trusted proxy wrote it: what a client puts there itself
    stands before that and gains nothing.
    """
    address = _parsed(request.META.get("REMOTE_ADDR", ""))
    on_the_way = request.headers.get("X-Forwarded-For", "").split(",")
    while address and _is_our_proxy(address) and on_the_way:
        told = _parsed(on_the_way.pop())
        if told is None:
            break
        address = told
    return str(address) if address else UNKNOWN


def _is_our_proxy(address: Address) -> bool:
    return any(address in ip_network(proxy, strict=False) for proxy in settings.TRUSTED_PROXIES)


def _parsed(text: str) -> Address | None:
    try:
        return ip_address(text.strip())
    except ValueError:
        return None


# --- What allauth asks us: who may sign up, where a request comes from, and how mails leave.

logger = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "email_password_mismatch": (
            "This e-mail address and password do not match. Both are needed as they were set up."
        ),
        "too_many_login_attempts": "That went wrong too often. Wait 15 minutes, then try again.",
        "rate_limited": "That went wrong too often. Wait 15 minutes, then try again.",
        "enter_current_password": "This is not your password.",
        "incorrect_password": "This is not your password.",
        "incorrect_code": "This code is not right, or it was used before. Wait for the next one.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return settings.SIGNUP

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_address(request)

    def is_safe_url(self, url: str | None) -> bool:
        """True for addresses of the host that was asked for, and of no other."""
        request = context.request
        return url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())

    def pre_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse | None:
        """Take the address as confirmed of a user whom the operator made: only signing up leaves one to confirm."""
        if user.email and not EmailAddress.objects.filter(user=user).exists():
            confirm_address(user)
        response: HttpResponse | None = super().pre_login(request, user, **kwargs)
        return response

    def populate_username(self, request: HttpRequest, user: User) -> None:
        """Leave it to `User.save`: it is the address."""

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Failures count for the name *and* where they come from: nobody can lock out others from afar (S13)."""
        name = credentials.get("email") or credentials.get("username", "")
        return f"{truncate_ip(client_address(request))} {name.lower()}"

    def get_reset_password_from_key_url(self, key: str) -> str:
        return at_our_site(super().get_reset_password_from_key_url(key))

    def get_email_confirmation_url(self, request: HttpRequest, emailconfirmation: Any) -> str:
        return at_our_site(super().get_email_confirmation_url(request, emailconfirmation))

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> bool:
        """Send a mail made of our templates, and return whether it left.

        A mail server that is out of reach is logged and told to the user, never raised.
        """
        try:
            super().send_mail(template_prefix, email, {**context, "site_url": settings.SITE_URL})
        except OSError as error:  # SMTPException is one
            # The error's text may hold the address.
            logger.error("A mail (%s) could not be sent: %s", template_prefix, type(error).__name__)
            messages.error(self.request, "The mail could not be sent. Try again in a few minutes.")
            return False
        return True


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Second factors are sealed in the database: a copy of it lets nobody in."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": "This code is not right, or it was used before. Wait for the next one.",
        "unverified_email": "Confirm your e-mail address first.",
        "all_unreadable": (
            "No code can be checked: this installation has lost the key that seals your second factor. "
            "Ask the person who runs LeadMachine to reset it."
        ),
        "totp_unreadable": (
            "Your app's codes can't be checked: this installation has lost the key that seals them. "
            "Give one of your recovery codes."
        ),
        "recovery_codes_unreadable": (
            "This code is not right. Your recovery codes can't be checked: this installation has lost the key that "
            "seals them. Give the code that your app shows now."
        ),
    }

    def get_totp_issuer(self) -> str:
        return "LeadMachine"

    def encrypt(self, text: str) -> str:
        return crypto.seal(text)

    def decrypt(self, encrypted_text: str) -> str:
        return crypto.unseal(encrypted_text)


def at_our_site(url: str) -> str:
    """The same page at `SITE_URL`: a link in a mail never depends on what a request said its host was (S14, S18)."""
    return f"{settings.SITE_URL}{urlsplit(url).path}"
