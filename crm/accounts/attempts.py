"""How many wrong codes of second factors are accepted: few from an address, and a number in all for an account.

Anyone who gets to the code step knows the password, or has signed in with the company's provider. Wrong codes from one
address don't keep the owner out at another. Those from many addresses do, because nothing distinguishes them; a new
password, for which a link goes to the owner's address, then opens the step again, and keeps the others out of it.

With both numbers, n addresses can guess min(20 n an hour, 100 a day), at 3 right codes in a million.
"""

import logging
from typing import Final

from allauth.account.adapter import get_adapter as get_account_adapter
from allauth.mfa.adapter import get_adapter
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from crm.accounts.client_addresses import client_network
from crm.accounts.sessions import provider_of
from crm.models import User
from crm.services.rate_limits import DAY_SECONDS, give_back, is_within

logger = logging.getLogger(__name__)

FROM_AN_ADDRESS: Final = 5  # within ADDRESS_SECONDS
ADDRESS_SECONDS: Final = 900
OF_AN_ACCOUNT: Final = 100  # a day


class Attempt:
    """A try of a code, which counts until it turns out to be right: so many at once can't get past the limit."""

    def __init__(self, request: HttpRequest, user: User) -> None:
        """Raises ValidationError if there were too many."""
        provider = provider_of(request, user)
        # Another password, or a provider, begins to count again.
        first_factor = (
            provider or salted_hmac("second factor", user.password).hexdigest()
        )
        self._account = f"second-factor:{user.pk}:{first_factor}"
        self._address = f"{self._account}:{client_network(request)}"
        if not is_within(
            self._address, at_most=FROM_AN_ADDRESS, seconds=ADDRESS_SECONDS
        ):
            raise get_adapter().validation_error("too_many_codes")
        if not is_within(self._account, at_most=OF_AN_ACCOUNT, seconds=DAY_SECONDS):
            self._warn(user)
            raise get_adapter().validation_error(
                "too_many_codes_by_provider" if provider else "too_many_codes_in_all"
            )

    def was_right(self) -> None:
        """Count it no longer."""
        give_back(self._address, seconds=ADDRESS_SECONDS)
        give_back(self._account, seconds=DAY_SECONDS)

    def _warn(self, user: User) -> None:
        if is_within(f"{self._account}:warned", at_most=1, seconds=DAY_SECONDS):
            logger.warning(
                "User %s: no code is accepted until tomorrow, after %s wrong ones.",
                user.pk,
                OF_AN_ACCOUNT,
            )
            get_account_adapter().send_notification_mail(
                "mfa/email/too_many_codes", user
            )
