"""Sealing the secrets of second factors, under the keys that seal the access tokens too (`LEADMACHINE_TOKEN_KEYS`)."""

from typing import Any, Final

from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings
from django.db import transaction

SECRETS: Final = ("secret", "seed", "hashes")  # of an authenticator app; of recovery codes before and once shown


def seal(text: str) -> str:
    return _keys().encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """The text. Raises cryptography's InvalidToken where no key opens it: the user must set up anew."""
    return _keys().decrypt(sealed.encode()).decode()


def rotate(*, dry_run: bool) -> int:
    """Seal everything anew under the newest key. Returns how many second factors there are."""
    pks = list(Authenticator.objects.order_by("pk").values_list("pk", flat=True))
    if not dry_run:
        for pk in pks:
            _rotate(pk)
    return len(pks)


@transaction.atomic
def _rotate(pk: int) -> None:
    # Locked, because a recovery code that is used meanwhile writes the same field.
    for authenticator in Authenticator.objects.select_for_update().filter(pk=pk):
        authenticator.data = {name: _resealed(name, value) for name, value in authenticator.data.items()}
        authenticator.save(update_fields=["data"])


def _resealed(name: str, value: Any) -> Any:
    return _keys().rotate(value.encode()).decode() if name in SECRETS else value


def _keys() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.TOKEN_KEYS])
