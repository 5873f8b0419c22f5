"""The secrets of second factors, sealed under the keys that seal the access tokens too (`LEADMACHINE_TOKEN_KEYS`)."""

from typing import Any, Final

from allauth.mfa.models import Authenticator
from django.db import transaction

from crm.crypto import KeyState, reseal, state_of

SECRETS: Final = ("secret", "seed", "hashes")  # of an authenticator app; of recovery codes before and once shown


def state(authenticator: Authenticator) -> KeyState:
    """Under which key its secret is sealed."""
    states = [state_of(value) for name, value in authenticator.data.items() if name in SECRETS]
    return max(states, key=list(KeyState).index, default=KeyState.NEWEST)


def states() -> list[tuple[int, KeyState]]:
    """The user's id and the state of each second factor, in the order of the ids."""
    stored = Authenticator.objects.order_by("user_id", "pk")
    return [(authenticator.user_id, state(authenticator)) for authenticator in stored.iterator()]


def rotate() -> int:
    """Seal again under the newest key what is under an older one. Returns how many second factors that were."""
    pks = list(Authenticator.objects.order_by("pk").values_list("pk", flat=True))
    return sum(map(_rotate, pks))


@transaction.atomic
def _rotate(pk: int) -> bool:
    # Locked, because a recovery code that is used meanwhile writes the same field.
    authenticator = Authenticator.objects.select_for_update().filter(pk=pk).first()
    if authenticator is None or state(authenticator) != KeyState.OLDER:
        return False
    authenticator.data = {name: _resealed(name, value) for name, value in authenticator.data.items()}
    authenticator.save(update_fields=["data"])
    return True


def _resealed(name: str, value: Any) -> Any:
    return reseal(value) if name in SECRETS else value
