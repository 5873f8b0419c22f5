"""How often one key, or one member's session, may call the API (S40)."""

import time
from typing import TYPE_CHECKING, Final, cast

from django.conf import settings
from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from crm.api.authentication import Caller

if TYPE_CHECKING:  # views read the settings, which name this module
    from rest_framework.views import APIView

WINDOW_SECONDS: Final = 60


class CallerThrottle(BaseThrottle):
    """So many requests a minute; beyond that 429, with the seconds to wait in `Retry-After`.

    The counter's name holds the company, the kind of caller and its id, so that equal ids never meet (S06).
    """

    def allow_request(self, request: Request, view: "APIView") -> bool:
        if request.auth is None:
            return True  # refused elsewhere
        caller, minute = cast(Caller, request.auth), int(time.time()) // WINDOW_SECONDS
        name = f"api:{caller.company_id}:{type(caller).__name__}:{caller.pk}:{minute}"
        cache.add(name, 0, 2 * WINDOW_SECONDS)
        try:
            return cache.incr(name) <= settings.API_REQUESTS_PER_MINUTE
        except ValueError:  # the cache forgot it between the two
            return True

    def wait(self) -> float:
        return WINDOW_SECONDS - time.time() % WINDOW_SECONDS
