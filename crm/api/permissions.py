"""What a caller may do: the table of `crm.models.roles`, asked for every request. What no table names is refused."""

from typing import TYPE_CHECKING, cast

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from crm.api.authentication import Caller
from crm.models.roles import Action

if TYPE_CHECKING:  # views read the settings, which name this module
    from rest_framework.views import APIView


class RolePermission(BasePermission):
    """Lets in whose role may do what the view's `actions` names for this operation ("list", "create", …).

    Raises MethodNotAllowed (405) where the view has no such operation; refuses a view without an entry for it.
    """

    message = "Your role may not do this. Ask an admin of your company."

    def has_permission(self, request: Request, view: "APIView") -> bool:
        if request.auth is None:
            return False
        if getattr(view, "action", "") in (None, "metadata"):
            raise MethodNotAllowed(request.method or "")
        actions: dict[str, Action] = getattr(view, "actions", {})
        action = actions.get(getattr(view, "action", ""))
        return action is not None and cast(Caller, request.auth).may(action)


class AnyCaller(BasePermission):
    """Lets in every key and every member, whatever their role: for what shows nothing of a company."""

    def has_permission(self, request: Request, view: "APIView") -> bool:
        return request.auth is not None
