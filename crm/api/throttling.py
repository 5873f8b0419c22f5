"""The rate limit of each API key and each member."""

import time
from typing import TYPE_CHECKING, cast

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from crm.api.authentication import Caller
from crm.services.rate_limits import WINDOW_SECONDS, is_within

if TYPE_CHECKING:  # importing views loads the settings, which refer to this module
    from rest_framework.views import APIView


class CallerThrottle(BaseThrottle):
    """Limits requests per minute. Beyond that, 429 with the seconds to wait in `Retry-After`.

    The counter's name has the company, the kind of caller and its id, so that equal ids don't share a counter.
    """

    def allow_request(self, request: Request, view: "APIView") -> bool:
        if request.auth is None:
            return True  # the permission check refuses it
        caller = cast(Caller, request.auth)
        name = f"api:{caller.company_id}:{type(caller).__name__}:{caller.pk}"
        return is_within(name, at_most=settings.API_REQUESTS_PER_MINUTE)

    def wait(self) -> float:
        return WINDOW_SECONDS - time.time() % WINDOW_SECONDS
