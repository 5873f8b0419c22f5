"""Second factors: single-use codes, encrypted secrets, hashed recovery codes and lost keys."""

import json
import logging
import secrets
import time
from typing import Any, Final

from allauth.account.authentication import get_authentication_records
from allauth.core.internal.cryptokit import compare_user_code, normalize_user_code
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal import auth as recovery_codes_auth
from allauth.mfa.totp.internal import auth as totp_auth
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare, pbkdf2

from crm.accounts.middleware import end_sessions
from crm.models import AuditAction, Membership, User, crypto
from crm.models.crypto import KeyState, Unreadable, reseal, state_of
from crm.services import audit

logger = logging.getLogger(__name__)


SECOND_FACTORS: Final = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)


def second_factors(user: User) -> list[str]:
    """The type of each of the user's second factors. Recovery codes don't count: they only replace a factor."""
    own = Authenticator.objects.filter(user=user, type__in=SECOND_FACTORS)
    return list(own.order_by("pk").values_list("type", flat=True))


def has_shown_second_factor(request: HttpRequest) -> bool:
    """True if this session was authenticated with a second factor."""
    return any(record["method"] == "mfa" for record in get_authentication_records(request, request.user))


def has_unreadable_factor(user: User) -> set[str]:
    """The types of the user's second factors that no configured key can decrypt."""
    own = Authenticator.objects.filter(user=user)
    return {factor.type for factor in own if secret_state(factor) == KeyState.UNREADABLE}


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


LAST_STEP: Final = "last_step"  # key in an authenticator app's data: the time step of the last code that was used


class SingleUseTOTP(totp_auth.TOTP):  # type: ignore[misc]
    """An authenticator app whose codes count once. It rejects every code if its secret can't be decrypted.

    allauth (65.22) remembers used codes in the cache, whose contents may be lost at any time. So we store the time step
    and reject every code from that step or an earlier one, as RFC 6238 demands.
    """

    instance: Authenticator

    def validate_code(self, code: str) -> bool:
        """Use up the code. Returns False if it is wrong, used, or can't be checked."""
        try:
            step = step_of(totp_auth.decrypt(self.instance.data["secret"]), code)
        except Unreadable as error:
            logger.error("The authenticator app of user %s can't be decrypted. %s.", self.instance.user_id, error)
            return False
        return step is not None and use_step(self.instance.user_id, step)


def step_of(secret: str, code: str) -> int | None:
    """The time step, among those accepted now, in which an app with this secret shows the code; None if it is wrong."""
    for step in totp_auth.yield_hotp_counters_from_time():
        expected = totp_auth.format_hotp_value(totp_auth.hotp_value(secret, step))
        if compare_user_code(actual=code, expected=expected):
            return int(step)
    return None


@transaction.atomic
def use_step(user_id: int, step: int) -> bool:
    """Record that the code of this time step was used. Returns False if it, or a later one, had been used before."""
    app = Authenticator.objects.select_for_update().filter(user=user_id, type=Authenticator.Type.TOTP).first()
    if app is None or step <= app.data.get(LAST_STEP, 0):
        return False
    app.data[LAST_STEP] = step
    app.save(update_fields=["data"])
    return True


class LostKeyMixin:
    """A form with separate errors for a wrong code and a code that can't be checked."""

    user: User

    def clean_code(self) -> str:
        try:
            code: str = super().clean_code()  # type: ignore[misc]
        except ValidationError as error:
            lost = has_unreadable_factor(self.user) if error.code == "incorrect_code" else set()
            if not lost:
                raise
            is_all = lost == set(Authenticator.objects.filter(user=self.user).values_list("type", flat=True))
            raise get_adapter().validation_error(f"{'all' if is_all else lost.pop()}_unreadable") from None
        return code


def install_authenticator() -> None:
    """Make allauth use `SingleUseTOTP`. It has no setting for this, but looks up the class on each use."""
    module: Any = totp_auth
    module.TOTP = SingleUseTOTP


# Recovery codes, stored as hashes: once shown, not even our keys can reveal them.

ROUNDS: Final = 100_000  # of PBKDF2 with SHA-256: ten codes take well under a second


class HashedRecoveryCodes(recovery_codes_auth.RecoveryCodes):  # type: ignore[misc]
    instance: Authenticator
    _shown: list[str] | None = None

    def get_unused_codes(self) -> list[str]:
        """The codes while they are shown, later a mask for each unused code. Empty if they can't be decrypted."""
        if self._shown is not None:
            return self._shown
        try:
            return ["****"] * len(self._hashes()) if "hashes" in self.instance.data else super().get_unused_codes()
        except crypto.Unreadable as error:
            self._log(error)
            return []

    def mark_as_viewed(self) -> None:
        """Replace the seed with hashes. Only this object still has the codes, for the page that shows them."""
        with transaction.atomic():
            self.instance = Authenticator.objects.select_for_update().get(pk=self.instance.pk)
            if self.did_view:
                return
            try:
                codes = super().get_unused_codes()
            except crypto.Unreadable as error:
                self._log(error)
                return  # keep the seed: its key may be restored
            self._shown, salt = codes, secrets.token_hex(16)
            self.instance.data = {"salt": salt, "viewed_at": time.time()}
            self._store([_hash(code, salt) for code in self._shown])

    @transaction.atomic
    def validate_code(self, code: str) -> bool:
        """Use up a code. Returns False if it is wrong, used or can't be checked."""
        self.instance = Authenticator.objects.select_for_update().get(pk=self.instance.pk)
        try:
            return self._use(code) if "hashes" in self.instance.data else bool(super().validate_code(code))
        except crypto.Unreadable as error:
            self._log(error)
            return False

    def _use(self, code: str) -> bool:
        hashes, entered = self._hashes(), _hash(normalize_user_code(code), self.instance.data["salt"])
        left = [stored for stored in hashes if not constant_time_compare(stored, entered)]
        if len(left) < len(hashes):
            self._store(left)
        return len(left) < len(hashes)

    def _hashes(self) -> list[str]:
        hashes: list[str] = json.loads(crypto.unseal(self.instance.data["hashes"]))
        return hashes

    def _store(self, hashes: list[str]) -> None:
        self.instance.data["hashes"] = crypto.seal(json.dumps(hashes))
        self.instance.save(update_fields=["data"])

    def _log(self, error: crypto.Unreadable) -> None:
        logger.error("The recovery codes of user %s can't be decrypted. %s.", self.instance.user_id, error)


def _hash(code: str, salt: str) -> str:
    return pbkdf2(code, salt, ROUNDS).hex()


def install_recovery_codes() -> None:
    """Make allauth use our class. It has no setting for this, but looks up the class on each use."""
    module: Any = recovery_codes_auth
    module.RecoveryCodes = HashedRecoveryCodes


# Secrets of second factors, encrypted with the same keys as the access tokens (`LEADMACHINE_TOKEN_KEYS`)

SECRETS: Final = ("secret", "seed", "hashes")  # an authenticator app; recovery codes before and after they are shown


def secret_state(authenticator: Authenticator) -> KeyState:
    """Which key decrypts the authenticator's secret."""
    states = [state_of(value) for name, value in authenticator.data.items() if name in SECRETS]
    return max(states, key=list(KeyState).index, default=KeyState.NEWEST)


def secret_states() -> list[tuple[int, KeyState]]:
    """The user id and key state of each second factor, by user id."""
    stored = Authenticator.objects.order_by("user_id", "pk")
    return [(authenticator.user_id, secret_state(authenticator)) for authenticator in stored.iterator()]


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
    authenticator.data = {name: _reseal(name, value) for name, value in authenticator.data.items()}
    authenticator.save(update_fields=["data"])
    return True


def _reseal(name: str, value: Any) -> Any:
    return reseal(value) if name in SECRETS else value
