"""Recovery codes as hashes: once they have been shown, not even our keys open them (S15).

allauth keeps the seed that all codes are made of. Here it is kept, sealed, until they are shown, which they are once;
then their hashes take its place. Eight digits are few to try, so that the hashes are slow, salted and sealed.
"""

import json
import secrets
import time
from typing import Any, Final

from allauth.core.internal.cryptokit import normalize_user_code
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal import auth
from django.db import transaction
from django.utils.crypto import constant_time_compare, pbkdf2

from crm.accounts import sealing

ROUNDS: Final = 100_000  # of PBKDF2 with SHA-256: ten codes in well under a second


class HashedRecoveryCodes(auth.RecoveryCodes):  # type: ignore[misc]
    instance: Authenticator
    _shown: list[str] | None = None

    def get_unused_codes(self) -> list[str]:
        """The codes while they are being shown; after that a mask for each code that is left."""
        if self._shown is not None:
            return self._shown
        if "hashes" in self.instance.data:
            return ["****"] * len(self._hashes())
        codes: list[str] = super().get_unused_codes()
        return codes

    def mark_as_viewed(self) -> None:
        """Put hashes in the place of the seed. This object alone still knows the codes, for the page it is made for."""
        with transaction.atomic():
            self.instance = Authenticator.objects.select_for_update().get(pk=self.instance.pk)
            if self.did_view:
                return
            self._shown, salt = self.get_unused_codes(), secrets.token_hex(16)
            self.instance.data = {"salt": salt, "viewed_at": time.time()}
            self._keep([_hashed(code, salt) for code in self._shown])

    @transaction.atomic
    def validate_code(self, code: str) -> bool:
        """True once for each code."""
        self.instance = Authenticator.objects.select_for_update().get(pk=self.instance.pk)
        if "hashes" not in self.instance.data:
            return bool(super().validate_code(code))
        hashes, given = self._hashes(), _hashed(normalize_user_code(code), self.instance.data["salt"])
        left = [kept for kept in hashes if not constant_time_compare(kept, given)]
        if len(left) < len(hashes):
            self._keep(left)
        return len(left) < len(hashes)

    def _hashes(self) -> list[str]:
        hashes: list[str] = json.loads(sealing.unseal(self.instance.data["hashes"]))
        return hashes

    def _keep(self, hashes: list[str]) -> None:
        self.instance.data["hashes"] = sealing.seal(json.dumps(hashes))
        self.instance.save(update_fields=["data"])


def _hashed(code: str, salt: str) -> str:
    return pbkdf2(code, salt, ROUNDS).hex()


def install() -> None:
    """Have allauth use them. It has no setting for it, and looks the class up each time it wraps what is stored."""
    module: Any = auth
    module.RecoveryCodes = HashedRecoveryCodes
