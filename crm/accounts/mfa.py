"""Second factors: which a user has, checking their codes, resetting them, and the keys of their secrets."""

import logging
from typing import Any, Final

from allauth.account.authentication import get_authentication_records
from allauth.core import context
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from django.db import transaction
from django.http import HttpRequest

from crm.accounts.attempts import Attempt
from crm.accounts.codes import use_code
from crm.accounts.middleware import end_sessions
from crm.models import AuditAction, Membership, User
from crm.models.crypto import KeyState, reseal, state_of
from crm.services import audit

logger = logging.getLogger(__name__)


SECOND_FACTORS: Final = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


def second_factors(user: User) -> list[str]:
    """The type of each of the user's second factors. Recovery codes don't count: they only replace a factor."""
    own = Authenticator.objects.filter(user=user, type__in=SECOND_FACTORS)
    return list(own.order_by("pk").values_list("type", flat=True))


def has_shown_second_factor(request: HttpRequest) -> bool:
    """True if this session was authenticated with a second factor."""
    return any(
        record["method"] == "mfa"
        for record in get_authentication_records(request, request.user)
    )


def has_unreadable_factor(user: User) -> set[str]:
    """The types of the user's second factors that no configured key can decrypt."""
    own = Authenticator.objects.filter(user=user)
    return {
        factor.type for factor in own if secret_state(factor) == KeyState.UNREADABLE
    }


@transaction.atomic
def reset_second_factor(*, user: User) -> tuple[list[str], int]:
    """Remove the user's second factors, end all their sessions and record it in the audit log of each company.

    Returns the types removed and the number of sessions ended. Does nothing if the user has no second factor.
    """
    own = Authenticator.objects.select_for_update().filter(user=user)
    types = sorted(set(own.values_list("type", flat=True)), reverse=True)
    if not types:
        return [], 0
    own.delete()
    ended = end_sessions(user)
    companies = Membership.objects.filter(user=user).values_list("company", flat=True)
    audit.record_in_each(companies, action=AuditAction.SECOND_FACTOR_RESET, about=user)
    logger.warning("The second factor of user %s was reset.", user.pk)
    return types, ended


class CodeMixin:
    """A form for a code of a second factor. Too many wrong ones are refused, from an address sooner than in all."""

    user: User
    authenticator: Authenticator

    def clean_code(self) -> str:
        """The code, which is used up. Raises ValidationError if it is wrong or can't be checked, or after too many."""
        attempt = Attempt(context.request, self.user)
        code: str = self.cleaned_data["code"]  # type: ignore[attr-defined]
        factor = use_code(self.user, code)
        if factor is None:
            raise get_adapter().validation_error(_wrong_code(self.user))
        attempt.was_right()
        self.authenticator = factor
        return code


def _wrong_code(user: User) -> str:
    """The name of the message for a wrong code, another one if a key that could check it is lost."""
    lost = has_unreadable_factor(user)
    if not lost:
        return "incorrect_code"
    is_all = lost == set(
        Authenticator.objects.filter(user=user).values_list("type", flat=True)
    )
    return f"{'all' if is_all else lost.pop()}_unreadable"


# Secrets of second factors, encrypted with the same keys as the access tokens (`LEADMACHINE_TOKEN_KEYS`)

# An authenticator app; recovery codes before and after they are shown.
SECRETS: Final = ("secret", "seed", "hashes")


def secret_state(authenticator: Authenticator) -> KeyState:
    """Which key decrypts the authenticator's secret."""
    states = [
        state_of(value) for name, value in authenticator.data.items() if name in SECRETS
    ]
    return max(states, key=list(KeyState).index, default=KeyState.NEWEST)


def secret_states() -> list[tuple[int, KeyState]]:
    """The user id and key state of each second factor, by user id."""
    stored = Authenticator.objects.order_by("user_id", "pk")
    return [
        (authenticator.user_id, secret_state(authenticator))
        for authenticator in stored.iterator()
    ]


def rotate_secrets() -> int:
    """Re-encrypt secrets that use an older key with the newest. Returns the number of second factors changed."""
    pks = list(Authenticator.objects.order_by("pk").values_list("pk", flat=True))
    return sum(map(_rotate_secrets, pks))


@transaction.atomic
def _rotate_secrets(pk: int) -> bool:
    # Locked, because using a recovery code writes the same field.
    authenticator = Authenticator.objects.select_for_update().filter(pk=pk).first()
    if authenticator is None or secret_state(authenticator) != KeyState.OLDER:
        return False
    authenticator.data = {
        name: _reseal(name, value) for name, value in authenticator.data.items()
    }
    authenticator.save(update_fields=["data"])
    return True


def _reseal(name: str, value: Any) -> Any:
    return reseal(value) if name in SECRETS else value
