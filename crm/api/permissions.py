"""What an API caller may do, from `crm.models.roles`, and how often. Operations without an entry are refused."""

from typing import TYPE_CHECKING, cast

from django.conf import settings
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from crm.accounts.request_limits import RETRY_SECONDS, Asker, InFlight
from crm.api.authentication import Caller
from crm.models import ApiKey
from crm.models.roles import Action
from crm.services.rate_limits import are_within, seconds_left

if TYPE_CHECKING:  # importing views loads the settings, which refer to this module
    from rest_framework.views import APIView


class RolePermission(BasePermission):
    """Allows callers whose role may do the action that the view's `actions` has for the operation ("list", …).

    Raises MethodNotAllowed (405) if the view has no such operation, and refuses operations without an entry.
    """

    message = "Your role doesn't allow this. Ask an admin of your company."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        if request.auth is None:
            return False
        if getattr(view, "action", "") in (None, "metadata"):
            raise MethodNotAllowed(request.method or "")
        actions: dict[str, Action] = getattr(view, "actions", {})
        action = actions.get(getattr(view, "action", ""))
        return action is not None and cast(Caller, request.auth).may(action)


class AnyCaller(BasePermission):
    """Allows every key and every member, whatever their role: for responses with no company data."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        return request.auth is not None


class CallerThrottle(BaseThrottle):
    """Limits requests per minute, of each caller and of its company. Beyond that, 429 with `Retry-After` in seconds.

    The caller's counter has the company, the kind of caller and its id, so that equal ids don't share one. A request
    that is refused because of it is not counted for the company.

    A caller may also have only so many at a time; sessions are counted before (crm/accounts/request_limits.py).
    """

    _wait = 0.0

    def allow_request(self, request: Request, view: "APIView") -> bool:
        if request.auth is None:
            return True  # the permission check rejects it
        caller = cast(Caller, request.auth)
        company = f"api:{caller.company_id}"
        own = f"{company}:{type(caller).__name__}:{caller.pk}"
        if not are_within({own: settings.API_REQUESTS_PER_MINUTE, company: settings.API_COMPANY_PER_MINUTE}):
            self._wait = seconds_left()
            return False
        in_flight: InFlight = request._request.in_flight  # type: ignore[attr-defined]
        self._wait = RETRY_SECONDS
        return in_flight.asker == _asker(caller) or in_flight.take(_asker(caller))

    def wait(self) -> float:
        return self._wait


def _asker(caller: Caller) -> Asker:
    if isinstance(caller, ApiKey):
        return Asker("key", caller.pk, caller.company_id)
    return Asker("person", caller.user_id, caller.company_id)
