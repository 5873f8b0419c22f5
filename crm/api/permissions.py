"""Permissions of API callers, from `crm.models.roles`. Operations without an entry are refused."""

from typing import TYPE_CHECKING, cast

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from crm.api.authentication import Caller
from crm.models.roles import Action

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
