"""Which company a signed-in person works in, whose name its changes carry, and how long a session lasts."""

import time
from collections.abc import Callable
from typing import Any, Final

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import SESSION_KEY, logout
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.models import Session
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import rotate_token
from django.shortcuts import render

from crm.models import Membership, User
from crm.models.tracking import acting_as

# --- How long one stays signed in: until 8 hours of silence, and 7 days at most (S16).

STARTED, SEEN = "started_at", "seen_at"  # in the session, in seconds since 1970
NOTED_EVERY_SECONDS: Final = 300  # a write of the session every few minutes, not with every click


@receiver(user_logged_in)
def _start(request: HttpRequest, **kwargs: Any) -> None:
    request.session[STARTED] = request.session[SEEN] = int(time.time())


def end_sessions(user: User) -> int:
    """Sign the user out everywhere. Returns how many sessions ended.

    All sessions are looked through: allauth's list of a user's own lacks those that did not begin on its pages.
    """
    own = [each.pk for each in Session.objects.iterator() if each.get_decoded().get(SESSION_KEY) == str(user.pk)]
    UserSession.objects.filter(user=user).delete()
    return Session.objects.filter(pk__in=own).delete()[0]


class SessionLimitsMiddleware:
    """Signs out who was silent for `SESSION_IDLE_SECONDS`, or signed in `SESSION_COOKIE_AGE` seconds ago."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            _limit(request)
        return self.get_response(request)


def _limit(request: HttpRequest) -> None:
    now, session = time.time(), request.session
    # Sessions from before these limits have neither: they count from now.
    old = now - session.setdefault(STARTED, int(now)) > settings.SESSION_COOKIE_AGE
    silent_for = now - session.setdefault(SEEN, int(now))
    if old or silent_for > settings.SESSION_IDLE_SECONDS:
        logout(request)
    elif silent_for > NOTED_EVERY_SECONDS:
        session[SEEN] = int(now)


# --- Which company a signed-in person works in, and whose name the changes of this request carry.

SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
COMPANY_KEY = "company"  # in the session: the id of the company chosen in the header


class MembershipMiddleware:
    """Sets `request.memberships` and `request.membership` (None without one), at the price of one query.

    Requests with an API key carry no session, and are none of its business.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user if isinstance(request.user, User) else None
        memberships = _memberships(user) if user else []
        request.memberships = memberships  # type: ignore[attr-defined]
        request.membership = _chosen(request, memberships)  # type: ignore[attr-defined]
        if _was_moved(request) and request.method not in SAFE_METHODS:
            return csrf_failure(request)
        with acting_as(user):
            return self.get_response(request)


@receiver(user_logged_in)
def _choose_company(request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Begin each session in the user's first company, and keep that in the session: see `_chosen`."""
    first = Membership.objects.active().of_open_companies().filter(user=user).first()
    if first:
        request.session[COMPANY_KEY] = first.company_id


def _memberships(user: User) -> list[Membership]:
    own = Membership.objects.active().of_open_companies().filter(user=user)
    memberships = list(own.select_related("company"))
    for membership in memberships:
        membership.user = user
    return memberships


def _chosen(request: HttpRequest, memberships: list[Membership]) -> Membership | None:
    company_id = request.session.get(COMPANY_KEY)
    chosen = (membership for membership in memberships if membership.company_id == company_id)
    return next(chosen, memberships[0] if memberships else None)


def _was_moved(request: HttpRequest) -> bool:
    """True if this session's company shut its user out, so that it is another company's from here on.

    Pages of the former one that are still open must not write into it: the CSRF token in them ends here (S07).
    """
    membership: Membership | None = request.membership  # type: ignore[attr-defined]
    if membership is None or request.session.get(COMPANY_KEY, membership.company_id) == membership.company_id:
        return False
    request.session[COMPANY_KEY] = membership.company_id
    rotate_token(request)
    return True


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return render(request, "403_csrf.html", status=403)
