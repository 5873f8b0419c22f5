"""One's own account: password, second factor, sessions."""

from typing import cast

from allauth.mfa.models import Authenticator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from crm.accounts.second_factor import has_authenticator_app, unreadable
from crm.models import User


def account(request: HttpRequest) -> HttpResponse:
    """The page that leads to all of it."""
    user = cast(User, request.user)
    codes = Authenticator.objects.filter(user=user, type=Authenticator.Type.RECOVERY_CODES).first()
    context = {
        "has_app": has_authenticator_app(user),
        "unreadable": unreadable(user),
        "codes_left": len(codes.wrap().get_unused_codes()) if codes else 0,
    }
    return render(request, "crm/account.html", context)
