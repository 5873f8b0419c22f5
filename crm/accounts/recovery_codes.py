"""Recovery codes as hashes: once they have been shown, not even our keys open them (S15).

allauth keeps the seed that all codes are made of. Here it is kept, sealed, until they are shown, which they are once;
then their hashes take its place. Eight digits are few to try, so that the hashes are slow, salted and sealed.
"""

import json
import logging
import secrets
import time
from typing import Any, Final

from allauth.core.internal.cryptokit import normalize_user_code
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal import auth
from django.db import transaction
from django.utils.crypto import constant_time_compare, pbkdf2

from crm import crypto

logger = logging.getLogger(__name__)

ROUNDS: Final = 100_000  # of PBKDF2 with SHA-256: ten codes in well under a second


class HashedRecoveryCodes(auth.RecoveryCodes):  # type: ignore[misc]
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


def install() -> None:
    """Have allauth use them. It has no setting for it, and looks the class up each time it wraps what is stored."""
    module: Any = auth
    module.RecoveryCodes = HashedRecoveryCodes
