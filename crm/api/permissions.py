"""What an API caller may do, from `crm.models.roles`, and how often. Operations without an entry are refused."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, cast

from django.conf import settings
from rest_framework.exceptions import MethodNotAllowed, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from crm.api.authentication import Caller
from crm.models import ApiKey
from crm.models.roles import Action
from crm.models.scopes import Noun, needed
from crm.services.rate_limits import are_within, seconds_left

if TYPE_CHECKING:  # importing views loads the settings, which refer to this module
    from rest_framework.views import APIView

NO_SCOPE: Final = "This API key lacks the scope {}. Ask an admin of your company for a key that has it."


class RolePermission(BasePermission):
    """Allows callers whose role may do the action that the view's `actions` has for the operation ("list", …).

    A key also needs the scopes of the view's `nouns`: without one, raises PermissionDenied (403), which names it.
    Raises MethodNotAllowed (405) if the view has no such operation. Refuses operations without an entry, and views
    without a noun.
    """

    message = "Your role doesn't allow this. Ask an admin of your company."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        if request.auth is None:
            return False
        if getattr(view, "action", "") in (None, "metadata"):
            raise MethodNotAllowed(request.method or "")
        actions: dict[str, Action] = getattr(view, "actions", {})
        action = actions.get(getattr(view, "action", ""))
        nouns: Sequence[Noun] = getattr(view, "nouns", ())
        caller = cast(Caller, request.auth)
        if action is None or not nouns or not caller.may(action):
            return False
        if isinstance(caller, ApiKey):
            _check_scopes(caller, needed(nouns, request.method or ""))
        return True


def _check_scopes(key: ApiKey, scopes: Sequence[str]) -> None:
    lacking = key.lacks(scopes)
    if lacking:
        raise PermissionDenied(NO_SCOPE.format(" and ".join(lacking)))


class AnyCaller(BasePermission):
    """Allows every key and every member, whatever their role: for responses with no company data."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        return request.auth is not None


class CallerThrottle(BaseThrottle):
    """Limits requests per minute, of each caller and of its company. Beyond that, 429 with `Retry-After` in seconds.

    The caller's counter has the company, the kind of caller and its id, so that equal ids don't share one. A request
    that is refused because of it is not counted for the company.
    """

    def allow_request(self, request: Request, view: "APIView") -> bool:
        if request.auth is None:
            return True  # the permission check rejects it
        caller = cast(Caller, request.auth)
        company = f"api:{caller.company_id}"
        own = f"{company}:{type(caller).__name__}:{caller.pk}"
        return are_within(
            {
                own: settings.API_REQUESTS_PER_MINUTE,
                company: settings.API_COMPANY_PER_MINUTE,
            }
        )

    def wait(self) -> float:
        return seconds_left()
