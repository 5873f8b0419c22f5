"""Asking for the password again: someone who finds an open browser doesn't know it."""

import time
from collections.abc import Callable
from functools import wraps
from itertools import takewhile
from typing import Final, cast

from allauth.account import app_settings
from allauth.account.adapter import get_adapter
from allauth.account.authentication import get_authentication_records
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from crm.accounts.decorators import MemberRequest, MemberView, P, View
from crm.accounts.sessions import BY_PROVIDER, provider_of
from crm.models import User

# For how long an open form may be submitted: its values come from another site, which may show them only once.
FORM_SECONDS: Final = 1800
OPEN_FOR_TOO_LONG: Final = (
    "The form was open for too long. Enter your password, then fill it in again."
)
YOURS_ALONE: Final = (
    "Your account is yours alone, not your company's. Enter your password to continue."
)
NOTHING_TO_CONFIRM_WITH: Final = (
    "This needs a password of your own, and your account has none yet. Request a link"
    " by e-mail to set one."
)
OPENED: Final = "protected_form_opened_at"  # session key: by path, seconds since 1970
# Session key: by path, the values of fields that are not secret.
KEPT: Final = "protected_form_kept"


def fresh_password(
    *, kept: tuple[str, ...] = ()
) -> Callable[[MemberView[P]], MemberView[P]]:
    """Decorate a form's view: it asks for the password before the form is shown, unless it was given recently.

    A form that was open for too long asks again. Only the fields named in `kept` keep their values (`kept_fields`).
    """

    def decorate(view: MemberView[P]) -> MemberView[P]:
        @wraps(view)
        def guarded(
            request: MemberRequest, *args: P.args, **kwargs: P.kwargs
        ) -> HttpResponseBase:
            if has_given_password_lately(request):
                _note(request, OPENED, request.path, time.time())
            elif request.method != "POST":
                return _ask(request, request.path, "Enter your password to continue.")
            elif not _opened_lately(request):
                return _ask(request, request.path, OPEN_FOR_TOO_LONG, kept)
            return view(request, *args, **kwargs)

        return cast(MemberView[P], guarded)

    return decorate


def ask_for_password(
    request: MemberRequest, *, form_at: str, kept: tuple[str, ...] = ()
) -> HttpResponse | None:
    """The redirect that asks for the password; None if it was given recently.

    For a form on a page that needs no password (`form_at`): the user returns to it, and submits the form again. The
    fields named in `kept` keep their values (`kept_fields`).
    """
    if has_given_password_lately(request):
        return None
    return _ask(
        request,
        form_at,
        "Nothing has been changed yet. Enter your password, then submit the form again.",
        kept,
    )


def shown_by_oneself(view: View[P]) -> View[P]:
    """Decorate a page about the user, not the company: in a session from a provider, it asks for their password."""

    @wraps(view)
    def guarded(
        request: HttpRequest, *args: P.args, **kwargs: P.kwargs
    ) -> HttpResponseBase:
        if provider_of(
            request, cast(User, request.user)
        ) and not has_given_password_lately(request):
            return _ask(request, request.path, YOURS_ALONE)
        return view(request, *args, **kwargs)

    return cast(View[P], guarded)


def kept_fields(request: HttpRequest) -> dict[str, str | list[str]]:
    """The values typed into this form before it asked for the password. They are returned only once."""
    kept: dict[str, dict[str, str | list[str]]] = request.session.get(KEPT, {})
    fields = kept.pop(request.path, {})
    request.session.modified |= bool(fields)
    return fields


def has_given_password_lately(request: HttpRequest) -> bool:
    """True if this session had a password, code or passkey within allauth's REAUTHENTICATION_TIMEOUT (5 minutes).

    A company's provider gives none of them. One that was given before a sign-in with the provider doesn't count,
    because it may be another person's: docs/decisions/sign-in-providers.md.
    """
    newest_first = reversed(get_authentication_records(request, request.user))
    times = [
        record["at"]
        for record in takewhile(
            lambda record: record["method"] != BY_PROVIDER, newest_first
        )
    ]
    return bool(times) and time.time() - max(times) < cast(
        float, app_settings.REAUTHENTICATION_TIMEOUT
    )


def _opened_lately(request: HttpRequest) -> bool:
    opened_at = request.session.get(OPENED, {}).get(request.path, 0)
    return bool(time.time() - opened_at < FORM_SECONDS)


def _note(request: HttpRequest, key: str, path: str, value: object) -> None:
    request.session[key] = {**request.session.get(key, {}), path: value}


def _posted(request: HttpRequest, name: str) -> str | list[str]:
    """The text of a field, or its texts if it has several."""
    texts = request.POST.getlist(name)
    return texts[0] if len(texts) == 1 else texts


def _ask(
    request: HttpRequest, path: str, message: str, kept: tuple[str, ...] = ()
) -> HttpResponse:
    """Ask for the password, then go to the form at this path. A user with no way to confirm has to set one first."""
    if not get_adapter(request).get_reauthentication_methods(request.user):
        messages.warning(request, NOTHING_TO_CONFIRM_WITH)
        return redirect("account_reset_password")
    if kept:
        _note(
            request,
            KEPT,
            path,
            {name: _posted(request, name) for name in kept if name in request.POST},
        )
    messages.warning(request, message)
    return redirect_to_login(path, "account_reauthenticate")
