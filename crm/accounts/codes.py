"""The codes of second factors: those of an authenticator app count once, and recovery codes are kept as hashes."""

import hmac
import json
import logging
import re
import secrets
import time
from base64 import b32decode
from typing import Any, Final

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal import auth as recovery_codes_auth
from allauth.mfa.utils import decrypt
from django.conf import settings
from django.db import transaction
from django.utils.crypto import constant_time_compare, pbkdf2

from crm.models import User, crypto
from crm.models.crypto import Unreadable

logger = logging.getLogger(__name__)

# Key in an authenticator app's data: the time step of the last code that was used.
LAST_STEP: Final = "last_step"
STEP_SECONDS: Final = 30  # of an authenticator app
# Of PBKDF2 with SHA-256, for recovery codes: ten take well under a second.
ROUNDS: Final = 100_000
SEPARATORS: Final = re.compile(r"[\W_]+")


def use_code(user: User, code: str) -> Authenticator | None:
    """Use up this code. Returns the second factor that it belongs to; None if it is wrong, used or can't be checked."""
    uses = {
        Authenticator.Type.TOTP: _use_app_code,
        Authenticator.Type.RECOVERY_CODES: _use_recovery_code,
    }
    for factor in Authenticator.objects.filter(user=user, type__in=uses):
        if uses[Authenticator.Type(factor.type)](factor, code):
            return factor
    return None


def _without_separators(code: str) -> str:
    return SEPARATORS.sub("", code).lower()


# Codes of an authenticator app


def _use_app_code(app: Authenticator, code: str) -> bool:
    """Use up the code. Returns False if it is wrong, used, or can't be checked.

    allauth (65.22) remembers used codes in the cache, whose contents may be lost at any time. So we store the time
    step, and reject every code from that step or an earlier one, as RFC 6238 demands.
    """
    try:
        step = step_of(decrypt(app.data["secret"]), code)
    except Unreadable as error:
        logger.error(
            "The authenticator app of user %s can't be decrypted. %s.",
            app.user_id,
            error,
        )
        return False
    return step is not None and use_step(app.user_id, step)


def step_of(secret: str, code: str) -> int | None:
    """The time step, among those accepted now, in which an app with this secret shows the code; None if it is wrong."""
    now = int(time.time()) // STEP_SECONDS
    for step in range(
        now - settings.MFA_TOTP_TOLERANCE, now + settings.MFA_TOTP_TOLERANCE + 1
    ):
        if constant_time_compare(_without_separators(code), _code_of(secret, step)):
            return step
    return None


def _code_of(secret: str, step: int) -> str:
    """The code that an app with this secret shows in this time step: RFC 4226, with six digits."""
    digest = hmac.digest(b32decode(secret, casefold=True), step.to_bytes(8), "sha1")
    start = digest[-1] & 0x0F
    number = int.from_bytes(digest[start : start + 4]) & 0x7FFF_FFFF
    return f"{number % 10**6:06}"


@transaction.atomic
def use_step(user_id: int, step: int) -> bool:
    """Record that the code of this time step was used. Returns False if it, or a later one, had been used before."""
    app = (
        Authenticator.objects.select_for_update()
        .filter(user=user_id, type=Authenticator.Type.TOTP)
        .first()
    )
    if app is None or step <= app.data.get(LAST_STEP, 0):
        return False
    app.data[LAST_STEP] = step
    app.save(update_fields=["data"])
    return True


# Recovery codes, stored as hashes: once shown, not even our keys can reveal them


def _use_recovery_code(stored: Authenticator, code: str) -> bool:
    return HashedRecoveryCodes(stored).validate_code(code)


class HashedRecoveryCodes(recovery_codes_auth.RecoveryCodes):  # type: ignore[misc]
    instance: Authenticator
    _shown: list[str] | None = None

    def get_unused_codes(self) -> list[str]:
        """The codes while they are shown, later a mask for each unused code. Empty if they can't be decrypted."""
        if self._shown is not None:
            return self._shown
        try:
            if "hashes" in self.instance.data:
                return ["****"] * len(self._hashes())
            return list(super().get_unused_codes())
        except Unreadable as error:
            self._log(error)
            return []

    def mark_as_viewed(self) -> None:
        """Replace the seed with hashes. Only this object still has the codes, for the page that shows them."""
        with transaction.atomic():
            self.instance = Authenticator.objects.select_for_update().get(
                pk=self.instance.pk
            )
            if self.did_view:
                return
            try:
                codes = super().get_unused_codes()
            except Unreadable as error:
                self._log(error)
                return  # keep the seed: its key may be restored
            self._shown, salt = codes, secrets.token_hex(16)
            self.instance.data = {"salt": salt, "viewed_at": time.time()}
            self._store([_hash(code, salt) for code in self._shown])

    @transaction.atomic
    def validate_code(self, code: str) -> bool:
        """Use up a code. Returns False if it is wrong, used or can't be checked."""
        self.instance = Authenticator.objects.select_for_update().get(
            pk=self.instance.pk
        )
        try:
            if "hashes" in self.instance.data:
                return self._use(code)
            return bool(super().validate_code(code))
        except Unreadable as error:
            self._log(error)
            return False

    def _use(self, code: str) -> bool:
        hashes, entered = (
            self._hashes(),
            _hash(_without_separators(code), self.instance.data["salt"]),
        )
        left = [
            stored for stored in hashes if not constant_time_compare(stored, entered)
        ]
        if len(left) < len(hashes):
            self._store(left)
        return len(left) < len(hashes)

    def _hashes(self) -> list[str]:
        hashes: list[str] = json.loads(crypto.unseal(self.instance.data["hashes"]))
        return hashes

    def _store(self, hashes: list[str]) -> None:
        self.instance.data["hashes"] = crypto.seal(json.dumps(hashes))
        self.instance.save(update_fields=["data"])

    def _log(self, error: Unreadable) -> None:
        logger.error(
            "The recovery codes of user %s can't be decrypted. %s.",
            self.instance.user_id,
            error,
        )


def _hash(code: str, salt: str) -> str:
    return pbkdf2(code, salt, ROUNDS).hex()


def install_recovery_codes() -> None:
    """Make allauth use our class. It has no setting for this, but looks up the class on each use."""
    module: Any = recovery_codes_auth
    module.RecoveryCodes = HashedRecoveryCodes
