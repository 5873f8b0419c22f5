"""How long one stays signed in: until 8 hours of silence, and 7 days at most (S16)."""

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

from crm.models import User

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


class SessionLimits:
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
