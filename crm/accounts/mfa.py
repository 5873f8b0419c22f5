"""Second factors: codes that count once, sealed secrets, hashed recovery codes, lost keys."""

import json
import logging
import secrets
import time
from typing import Any, Final

from allauth.account.authentication import get_authentication_records
from allauth.core.internal.cryptokit import normalize_user_code
from allauth.mfa import app_settings
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal import auth as recovery_codes_auth
from allauth.mfa.totp.internal import auth as totp_auth
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare, pbkdf2

from crm.accounts.middleware import end_sessions
from crm.models import AuditAction, Membership, User, crypto
from crm.models.crypto import KeyState, Unreadable, reseal, state_of
from crm.services import audit

# --- Whether a session has shown a second factor, a code that counts once only, and a factor whose key is lost.

logger = logging.getLogger(__name__)


def has_authenticator_app(user: User) -> bool:
    found: bool = Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists()
    return found


def has_shown_second_factor(request: HttpRequest) -> bool:
    """True if the code of a second factor was given in this session."""
    return any(record["method"] == "mfa" for record in get_authentication_records(request, request.user))


def has_unreadable_factor(user: User) -> set[str]:
    """The types of the user's second factors whose secret no key opens."""
    own = Authenticator.objects.filter(user=user)
    return {factor.type for factor in own if secret_state(factor) == KeyState.UNREADABLE}


@transaction.atomic
def reset_second_factor(*, user: User) -> tuple[list[str], int]:
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


class SealedApp(totp_auth.TOTP):  # type: ignore[misc]
    """An authenticator app of whose codes none is right while its secret can't be read."""

    def validate_code(self, code: str) -> bool:
        try:
            return bool(super().validate_code(code))
        except Unreadable as error:
            logger.error("The authenticator app of user %s can't be read. %s.", self.instance.user_id, error)
            return False


class LostKeyMixin:
    """A form that tells a code which is wrong from one that can't be checked."""

    user: User

    def clean_code(self) -> str:
        try:
            code: str = super().clean_code()  # type: ignore[misc]
        except ValidationError as error:
            lost = has_unreadable_factor(self.user) if error.code == "incorrect_code" else set()
            if not lost:
                raise
            every = lost == set(Authenticator.objects.filter(user=self.user).values_list("type", flat=True))
            raise get_adapter().validation_error(f"{'all' if every else lost.pop()}_unreadable") from None
        return code


class SingleUseCodeMixin:
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


def install_authenticator() -> None:
    """Have allauth use `SealedApp`. It has no setting for it, and looks the class up each time it needs it."""
    module: Any = totp_auth
    module.TOTP = SealedApp


# --- Recovery codes as hashes: once they have been shown, not even our keys open them (S15).

ROUNDS: Final = 100_000  # of PBKDF2 with SHA-256: ten codes in well under a second


class HashedRecoveryCodes(recovery_codes_auth.RecoveryCodes):  # type: ignore[misc]
    instance: Authenticator
    _shown: list[str] | None = None

    def get_unused_codes(self) -> list[str]:
        """The codes while they are being shown; after that a mask for each code that is left. None if unreadable."""
        if self._shown is not None:
            return self._shown
        try:
            return ["****"] * len(self._hashes()) if "hashes" in self.instance.data else super().get_unused_codes()
        except crypto.Unreadable as error:
            self._say(error)
            return []

    def mark_as_viewed(self) -> None:
        """Put hashes in the place of the seed. This object alone still knows the codes, for the page it is made for."""
        with transaction.atomic():
            self.instance = Authenticator.objects.select_for_update().get(pk=self.instance.pk)
            if self.did_view:
                return
            try:
                codes = super().get_unused_codes()
            except crypto.Unreadable as error:
                self._say(error)
                return  # the seed stays: the key that opens it may come back
            self._shown, salt = codes, secrets.token_hex(16)
            self.instance.data = {"salt": salt, "viewed_at": time.time()}
            self._keep([_hashed(code, salt) for code in self._shown])

    @transaction.atomic
    def validate_code(self, code: str) -> bool:
        """True once for each code."""
        self.instance = Authenticator.objects.select_for_update().get(pk=self.instance.pk)
        try:
            return self._is_good(code) if "hashes" in self.instance.data else bool(super().validate_code(code))
        except crypto.Unreadable as error:
            self._say(error)
            return False

    def _is_good(self, code: str) -> bool:
        hashes, given = self._hashes(), _hashed(normalize_user_code(code), self.instance.data["salt"])
        left = [kept for kept in hashes if not constant_time_compare(kept, given)]
        if len(left) < len(hashes):
            self._keep(left)
        return len(left) < len(hashes)

    def _hashes(self) -> list[str]:
        hashes: list[str] = json.loads(crypto.unseal(self.instance.data["hashes"]))
        return hashes

    def _keep(self, hashes: list[str]) -> None:
        self.instance.data["hashes"] = crypto.seal(json.dumps(hashes))
        self.instance.save(update_fields=["data"])

    def _say(self, error: crypto.Unreadable) -> None:
        logger.error("The recovery codes of user %s can't be read. %s.", self.instance.user_id, error)


def _hashed(code: str, salt: str) -> str:
    return pbkdf2(code, salt, ROUNDS).hex()


def install_recovery_codes() -> None:
    """Have allauth use them. It has no setting for it, and looks the class up each time it wraps what is stored."""
    module: Any = recovery_codes_auth
    module.RecoveryCodes = HashedRecoveryCodes


# --- The secrets of second factors, sealed under the keys that seal the access tokens too (`LEADMACHINE_TOKEN_KEYS`).

SECRETS: Final = ("secret", "seed", "hashes")  # of an authenticator app; of recovery codes before and once shown


def secret_state(authenticator: Authenticator) -> KeyState:
    """Under which key its secret is sealed."""
    states = [state_of(value) for name, value in authenticator.data.items() if name in SECRETS]
    return max(states, key=list(KeyState).index, default=KeyState.NEWEST)


def secret_states() -> list[tuple[int, KeyState]]:
    """The user's id and the state of each second factor, in the order of the ids."""
    stored = Authenticator.objects.order_by("user_id", "pk")
    return [(authenticator.user_id, secret_state(authenticator)) for authenticator in stored.iterator()]


def rotate_secrets() -> int:
    """Seal again under the newest key what is under an older one. Returns how many second factors that were."""
    pks = list(Authenticator.objects.order_by("pk").values_list("pk", flat=True))
    return sum(map(_rotate_secrets, pks))


@transaction.atomic
def _rotate_secrets(pk: int) -> bool:
    # Locked, because a recovery code that is used meanwhile writes the same field.
    authenticator = Authenticator.objects.select_for_update().filter(pk=pk).first()
    if authenticator is None or secret_state(authenticator) != KeyState.OLDER:
        return False
    authenticator.data = {name: _resealed(name, value) for name, value in authenticator.data.items()}
    authenticator.save(update_fields=["data"])
    return True


def _resealed(name: str, value: Any) -> Any:
    return reseal(value) if name in SECRETS else value
