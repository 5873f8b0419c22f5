"""Whether a session has shown a second factor, a code that counts once only, and a factor whose key is lost."""

import logging
from typing import Any

from allauth.account.authentication import get_authentication_records
from allauth.mfa import app_settings
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest

from crm import audit
from crm.accounts import sealing
from crm.accounts.sessions import end_sessions
from crm.crypto import KeyState, Unreadable
from crm.models import AuditAction, Membership, User

logger = logging.getLogger(__name__)


def has_authenticator_app(user: User) -> bool:
    found: bool = Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists()
    return found


def was_shown(request: HttpRequest) -> bool:
    """True if the code of a second factor was given in this session."""
    return any(record["method"] == "mfa" for record in get_authentication_records(request, request.user))


def unreadable(user: User) -> set[str]:
    """The types of the user's second factors whose secret no key opens."""
    own = Authenticator.objects.filter(user=user)
    return {factor.type for factor in own if sealing.state(factor) == KeyState.UNREADABLE}


@transaction.atomic
def reset(*, user: User) -> tuple[list[str], int]:
    """Remove the user's second factors, and end all of their sessions. It is on record in each of their companies.

    Returns the types that were removed and the number of sessions. Without any second factor nothing is changed.
    """
    own = Authenticator.objects.select_for_update().filter(user=user)
    types = sorted(own.values_list("type", flat=True), reverse=True)
    if not types:
        return [], 0
    own.delete()
    ended = end_sessions(user)
    for company_id in Membership.objects.filter(user=user).values_list("company", flat=True):
        audit.record(company=company_id, action=AuditAction.SECOND_FACTOR_RESET, about=user)
    logger.warning("The second factor of user %s was reset.", user.pk)
    return types, ended


class SealedApp(auth.TOTP):  # type: ignore[misc]
    """An authenticator app of whose codes none is right while its secret can't be read."""

    def validate_code(self, code: str) -> bool:
        try:
            return bool(super().validate_code(code))
        except Unreadable as error:
            logger.error("The authenticator app of user %s can't be read. %s.", self.instance.user_id, error)
            return False


class TellsOfLostKeys:
    """A form that tells a code which is wrong from one that can't be checked."""

    user: User

    def clean_code(self) -> str:
        try:
            code: str = super().clean_code()  # type: ignore[misc]
        except ValidationError as error:
            lost = unreadable(self.user) if error.code == "incorrect_code" else set()
            if not lost:
                raise
            every = lost == set(Authenticator.objects.filter(user=self.user).values_list("type", flat=True))
            raise get_adapter().validation_error(f"{'all' if every else lost.pop()}_unreadable") from None
        return code


class OnceOnly:
    """A form whose code can't be given twice while it is valid.

    allauth (65.21) remembers a used code for one period, and with a tolerance of one step it is valid for three.
    """

    user: User

    def clean_code(self) -> str:
        code: str = super().clean_code()  # type: ignore[misc]
        if not cache.add(f"second-factor-used:{self.user.pk}:{code}", 1, _valid_for_seconds()):
            raise get_adapter().validation_error("incorrect_code")
        return code


def _valid_for_seconds() -> int:
    steps: Any = 2 * app_settings.TOTP_TOLERANCE + 1
    return int(steps * app_settings.TOTP_PERIOD)


def install() -> None:
    """Have allauth use `SealedApp`. It has no setting for it, and looks the class up each time it needs it."""
    module: Any = auth
    module.TOTP = SealedApp
