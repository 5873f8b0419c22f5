"""Who calls the API: a script with a company's key, or a signed-in member. Each belongs to one company, in one role."""

from datetime import timedelta
from typing import Final

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, SessionAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from crm.models import ApiKey, Membership, User

Caller = ApiKey | Membership  # what `request.auth` holds; views ask it for `company` and `may(action)`

LAST_USE_COUNTS_FOR: Final = timedelta(minutes=1)


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer lm_…`. Raises AuthenticationFailed (401) for a key that is unknown or revoked."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, ApiKey] | None:
        scheme, _, text = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        key = ApiKey.objects.find(text.strip())
        if key is None:
            raise AuthenticationFailed(
                "This API key is unknown or revoked. Ask an admin of your company for a new one."
            )
        _note_use(key)
        return AnonymousUser(), key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="LeadMachine API"'


class MemberSessionAuthentication(SessionAuthentication):
    """The session of a signed-in member, with the CSRF token that a browser needs for every write."""

    def authenticate(self, request: Request) -> tuple[User, Membership] | None:
        found = super().authenticate(request)  # raises PermissionDenied (403) without the CSRF token
        if found is None:
            return None
        membership: Membership | None = getattr(request._request, "membership", None)
        if membership is None:
            raise PermissionDenied("You belong to no company yet. Ask an admin to add you.")
        return membership.user, membership


def _note_use(key: ApiKey) -> None:
    """Remember that the key was used; once a minute is enough, and spares a write per request."""
    if key.last_used_at is not None and timezone.now() - key.last_used_at < LAST_USE_COUNTS_FOR:
        return
    stale = Q(last_used_at=None) | Q(last_used_at__lt=Now() - LAST_USE_COUNTS_FOR)
    ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=Now())
