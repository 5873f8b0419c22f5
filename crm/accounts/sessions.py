"""Who vouched for the user of a session: the user, by a password or passkey, or a company's provider."""

from datetime import UTC, datetime
from typing import Any

from allauth.account.authentication import get_authentication_records
from allauth.account.internal.flows.login import record_authentication
from allauth.socialaccount.models import SocialAccount
from django.db.models import Exists
from django.http import HttpRequest

from crm.models import Membership, User
from crm.models.people import MembershipQuerySet

BY_PROVIDER = "socialaccount"  # allauth's word in its records
# Session key, and key of allauth's state: where the provider ends its own session.
SIGN_OUT_URL = "sign_out_url"


def note_password(
    request: HttpRequest, user: User, *, method: str = "password"
) -> None:
    """Record that this session's user has just chosen or typed their password, which `method` names for allauth."""
    record_authentication(request, user, method=method)


def provider_of(request: HttpRequest, user: User) -> str:
    """The code of the company's provider that made this session; "" if the user showed a password or passkey.

    The session stays bound to the company, whatever the user confirms later.
    """
    return str(_word_of_provider(request, user).get("provider", ""))


def _word_of_provider(request: HttpRequest, user: User) -> dict[str, Any]:
    first_factors = [
        record
        for record in get_authentication_records(request, user)
        if _is_first_factor(record)
    ]
    last: dict[str, Any] = first_factors[-1] if first_factors else {}
    return last if last.get("method") == BY_PROVIDER else {}


def _is_first_factor(record: dict[str, object]) -> bool:
    is_second = record["method"] == "mfa" and not record.get("passwordless")
    return not is_second and not record.get("reauthenticated")


def memberships_of(request: HttpRequest, user: User) -> MembershipQuerySet:
    """The user's memberships that this session may use.

    Empty if its provider no longer knows the user, as after a change of the issuer or the client id.
    """
    own = (
        Membership.objects.active()
        .of_open_companies()
        .filter(user=user)
        .open_to(provider_of(request, user))
    )
    word = _word_of_provider(request, user)
    if not word:
        return own
    known = SocialAccount.objects.filter(
        user=user, provider=word["provider"], uid=word["uid"]
    )
    return own.filter(
        Exists(known.filter(date_joined__lte=datetime.fromtimestamp(word["at"], UTC)))
    )
