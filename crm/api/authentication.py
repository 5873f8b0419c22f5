"""Authentication of API callers: an API key or a signed-in member, each in one company with one role."""

from datetime import timedelta
from typing import Final

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from rest_framework.authentication import (
    BaseAuthentication,
    SessionAuthentication,
    get_authorization_header,
)
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied, Throttled
from rest_framework.request import Request

from crm.accounts.callers import COMPANY
from crm.accounts.client_addresses import client_address, client_network
from crm.models import ApiKey, Membership, User
from crm.services.rate_limits import is_within, seconds_left
from postgresql import saving

# `request.auth`; views use its `company` and `may(action)`.
Caller = ApiKey | Membership

WRONG_KEYS_PER_MINUTE: Final = 20  # from one address
LAST_USED_PRECISION: Final = timedelta(minutes=1)
WRONG_NETWORK: Final = (
    "This API key doesn't work from {}. Ask an admin of your company for one that does."
)


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer lm_…`. Raises AuthenticationFailed (401) for a key that doesn't work.

    Raises PermissionDenied (403) if the key may not be used from the caller's IP address.
    """

    def authenticate(self, request: Request) -> tuple[AnonymousUser, ApiKey] | None:
        scheme, _, text = (
            get_authorization_header(request).decode("latin-1").partition(" ")
        )
        if scheme.lower() != "bearer":
            return None
        key = ApiKey.objects.find(text.strip())
        if key is None:
            _count_wrong_key(request)
            raise AuthenticationFailed(
                "This API key is unknown, revoked or expired. Ask an admin of your company for a new one."
            )
        address = client_address(request)
        if not key.works_from(address):
            raise PermissionDenied(WRONG_NETWORK.format(address))
        request.META[COMPANY] = key.company_id
        _update_last_used(key)
        # The last use of a key is no change that its caller has asked for.
        saving.begin()
        return AnonymousUser(), key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="LeadMachine API"'


class MemberSessionAuthentication(SessionAuthentication):
    """The session of a signed-in member. Writes need a CSRF token."""

    def authenticate(self, request: Request) -> tuple[User, Membership] | None:
        # Raises PermissionDenied (403) without the CSRF token.
        authenticated = super().authenticate(request)
        if authenticated is None:
            return None
        membership: Membership | None = getattr(request, "membership", None)
        if membership is None:
            raise PermissionDenied(
                "You don't belong to a company yet. Ask an admin to add you."
            )
        return membership.user, membership


def _count_wrong_key(request: Request) -> None:
    """Raise Throttled (429) if this address has sent too many wrong keys. Valid keys still work from there."""
    address = client_network(request)
    if not is_within(f"wrong-api-keys:{address}", at_most=WRONG_KEYS_PER_MINUTE):
        raise Throttled(wait=seconds_left())


def _update_last_used(key: ApiKey) -> None:
    """Update `last_used_at`, at most once a minute to avoid a write per request."""
    if (
        key.last_used_at is not None
        and timezone.now() - key.last_used_at < LAST_USED_PRECISION
    ):
        return
    stale = Q(last_used_at=None) | Q(last_used_at__lt=Now() - LAST_USED_PRECISION)
    ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=Now())
