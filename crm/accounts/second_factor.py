"""Whether a session has shown a second factor, and a code that counts once only."""

from typing import Any

from allauth.account.authentication import get_authentication_records
from allauth.mfa import app_settings
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from django.core.cache import cache
from django.http import HttpRequest

from crm.models import User


def has_authenticator_app(user: User) -> bool:
    found: bool = Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists()
    return found


def was_shown(request: HttpRequest) -> bool:
    """True if the code of a second factor was given in this session."""
    return any(record["method"] == "mfa" for record in get_authentication_records(request, request.user))


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
