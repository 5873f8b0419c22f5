"""What the banners above every page need to know of the company's line to LinkedIn."""

from functools import cached_property
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from capi.deadlines import end_of_token, end_of_version
from capi.models import Connection
from capi.words import Words, explain_pause
from crm.models import Membership
from crm.roles import Action


class Line:
    """The line to LinkedIn of the company that one works in. It costs a query when it is asked, and one at most."""

    def __init__(self, request: HttpRequest) -> None:
        self.membership: Membership | None = getattr(request, "membership", None)
        self._path = request.path

    @cached_property
    def connection(self) -> Connection | None:
        if self.membership is None:
            return None
        found = Connection.objects.for_company(self.membership.company_id)
        return found.select_related("token_saved_by").first()

    @property
    def pause(self) -> Words | None:
        """Why nothing is sent, for those who may know and while it is so."""
        if self.membership is None or not self.membership.may(Action.SEE_CONNECTION):
            return None
        if self.connection is None or not self.connection.is_paused:
            return None
        return explain_pause(self.connection.paused_reason)

    @property
    def pause_elsewhere(self) -> Words | None:
        """The pause, but for the page that speaks of it at length."""
        return None if self._path == reverse("linkedin") else self.pause

    @cached_property
    def deadlines(self) -> list[Words]:
        """What stops sending soon unless an admin sees to it."""
        if self.membership is None or not self.membership.may(Action.CHANGE_CONNECTION):
            return []
        today = timezone.localdate()
        expires_on = self.connection.token_expires_on if self.connection is not None else None
        ends = end_of_version(settings.LINKEDIN_API_VERSION, today), end_of_token(expires_on, today)
        return [end.words for end in ends if end is not None and end.is_near]

    @property
    def is_sandbox(self) -> bool:
        return settings.LINKEDIN_SANDBOX

    @property
    def other_address(self) -> str:
        """Where events go if that is neither LinkedIn nor the sandbox, else nothing."""
        return "" if settings.LINKEDIN_API_URL == settings.LINKEDIN_REAL_URL else settings.LINKEDIN_API_URL


def line_of(request: HttpRequest) -> Line:
    """The line of this request: view and banners share it, and its one query."""
    if not hasattr(request, "linkedin_line"):
        request.linkedin_line = Line(request)  # type: ignore[attr-defined]
    return request.linkedin_line  # type: ignore[attr-defined, no-any-return]


def connection_state(request: HttpRequest) -> dict[str, Any]:
    return {"line": line_of(request)}
