"""The session's time limits, its current company, and the actor of its changes."""

import time
import uuid
from collections.abc import Callable
from typing import Any, Final

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import SESSION_KEY, logout
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.models import Session
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import REASON_BAD_ORIGIN, rotate_token
from django.shortcuts import render

from crm.accounts.callers import COMPANY
from crm.accounts.sessions import memberships_of
from crm.accounts.typed_forms import keep_typed
from crm.formatting import dates_for
from crm.models import Membership, User
from crm.models.tracking.origin import acting_as

# Session limits: 8 hours without a request, 7 days in all

STARTED, SEEN = "started_at", "seen_at"  # session keys; seconds since 1970
# Between writes of SEEN, to avoid one on every request.
SAVE_INTERVAL_SECONDS: Final = 300


@receiver(user_logged_in)
def _start(request: HttpRequest, **kwargs: Any) -> None:
    request.session[STARTED] = request.session[SEEN] = int(time.time())


def end_sessions(user: User) -> int:
    """Sign the user out everywhere. Returns the number of sessions ended.

    Checks all sessions: allauth's list of a user's sessions lacks those that did not start on its pages.
    """
    own = [
        each.pk
        for each in Session.objects.iterator()
        if each.get_decoded().get(SESSION_KEY) == str(user.pk)
    ]
    UserSession.objects.filter(user=user).delete()
    return Session.objects.filter(pk__in=own).delete()[0]


class SessionLimitsMiddleware:
    """Ends a session after `SESSION_IDLE_SECONDS` without a request, or `SESSION_COOKIE_AGE` seconds in all.

    The values of a form that was submitted too late are kept until the user has signed in again.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            _limit(request)
        return self.get_response(request)


def _limit(request: HttpRequest) -> None:
    now, session = time.time(), request.session
    # Sessions from before these limits have neither time: count from now.
    is_too_old = (
        now - session.setdefault(STARTED, int(now)) > settings.SESSION_COOKIE_AGE
    )
    idle_seconds = now - session.setdefault(SEEN, int(now))
    if is_too_old or idle_seconds > settings.SESSION_IDLE_SECONDS:
        whose = {
            "user_id": request.user.pk,
            "company_id": session.get(COMPANY_KEY),
            "since": session[STARTED],
        }
        logout(request)
        keep_typed(request, **whose)
    elif idle_seconds > SAVE_INTERVAL_SECONDS:
        session[SEEN] = int(now)


# The current company, and the actor of a request's changes

SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
COMPANY_KEY = "company"  # session key: the id of the company chosen in the header


class MembershipMiddleware:
    """Sets `request.memberships` and `request.membership` (None without one), with one query.

    Does nothing for requests with an API key, which have no session.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user if isinstance(request.user, User) else None
        memberships = _memberships(request, user) if user else []
        request.memberships = memberships  # type: ignore[attr-defined]
        membership = _current(request, memberships)
        request.membership = membership  # type: ignore[attr-defined]
        request.META[COMPANY] = membership.company_id if membership else None
        if _company_changed(request) and request.method not in SAFE_METHODS:
            return csrf_failure(request)
        action = None
        if user is not None and request.method not in SAFE_METHODS:
            action = uuid.uuid4()
        with acting_as(user, action=action), dates_for(user):
            return self.get_response(request)


@receiver(user_logged_in)
def _choose_company(request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Start each session in the user's first company, and store that in the session: see `_current`."""
    first = memberships_of(request, user).first()
    if first:
        request.session[COMPANY_KEY] = first.company_id


def _memberships(request: HttpRequest, user: User) -> list[Membership]:
    memberships = list(memberships_of(request, user).select_related("company"))
    for membership in memberships:
        membership.user = user
    return memberships


def _current(request: HttpRequest, memberships: list[Membership]) -> Membership | None:
    company_id = request.session.get(COMPANY_KEY)
    matching = (
        membership for membership in memberships if membership.company_id == company_id
    )
    return next(matching, memberships[0] if memberships else None)


def _company_changed(request: HttpRequest) -> bool:
    """True if the session moves to another company, because the user has lost access to its company.

    Open pages of the previous company must not write to the new one, so their CSRF token is rotated.
    """
    membership: Membership | None = request.membership  # type: ignore[attr-defined]
    if (
        membership is None
        or request.session.get(COMPANY_KEY, membership.company_id)
        == membership.company_id
    ):
        return False
    request.session[COMPANY_KEY] = membership.company_id
    rotate_token(request)
    return True


FOREIGN_ORIGIN: Final = REASON_BAD_ORIGIN.partition("%s")[0]


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The page for a form that may not be submitted. For another origin it names the setting that may be wrong."""
    is_foreign = reason.startswith(FOREIGN_ORIGIN)
    origin = request.headers.get("Origin", "") if is_foreign else ""
    return render(
        request,
        "403_csrf.html",
        {"origin": origin, "site_url": settings.SITE_URL},
        status=403,
    )
