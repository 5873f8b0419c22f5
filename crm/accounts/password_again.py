"""What is worth a password, though one is signed in already: whoever finds an open browser has none (S28)."""

import time
from typing import cast

from allauth.account import app_settings
from allauth.account.authentication import get_authentication_records
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse


def was_given_lately(request: HttpRequest) -> bool:
    """True if this session gave a password or a code within allauth's REAUTHENTICATION_TIMEOUT (5 minutes)."""
    given = [record["at"] for record in get_authentication_records(request, request.user)]
    return bool(given) and time.time() - max(given) < cast(float, app_settings.REAUTHENTICATION_TIMEOUT)


def ask(request: HttpRequest, *, back_to: str, then: str) -> HttpResponse:
    """Send to the page that asks for the password, and say what to do `then`. Nothing that was typed is kept."""
    messages.warning(request, f"Give your password once more, then {then}.")
    return redirect_to_login(back_to, "account_reauthenticate")
