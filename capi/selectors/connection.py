"""The status of the company's connection to LinkedIn, for the banners above every page."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.conf import settings
from django.db.models import Exists, OuterRef
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property

from capi.models import Alert, Connection, ConversionRule
from capi.selectors.deadlines import end_of_token, end_of_version
from capi.selectors.explanations.explain import explain_pause, explain_rest
from capi.selectors.explanations.states import Explanation
from capi.selectors.on_hold import OnHold, on_hold
from capi.selectors.rules import RuleRow
from crm.models import Membership
from crm.models.roles import Action

PAUSED: Final = ConversionRule.objects.active().filter(is_paused=True)


class ConnectionStatus:
    """The current company's connection to LinkedIn.

    Reading it takes one query, plus one if rules are paused. On the pages about LinkedIn, counting open alerts takes
    another, and so does counting events on hold, if anything is paused.
    """

    def __init__(self, request: HttpRequest) -> None:
        self.membership: Membership | None = getattr(request, "membership", None)
        self._path = request.path

    @cached_property
    def connection(self) -> Connection | None:
        if self.membership is None:
            return None
        connections = Connection.objects.for_company(
            self.membership.company_id
        ).select_related("token_saved_by")
        return connections.annotate(
            has_paused_rules=Exists(PAUSED.filter(company=OuterRef("company")))
        ).first()

    @property
    def pause(self) -> Explanation | None:
        """Why sending is paused. None if it isn't or the user may not see it."""
        if (
            not self._may(Action.SEE_CONNECTION)
            or self.connection is None
            or not self.connection.is_paused
        ):
            return None
        return explain_pause(self.connection.paused_reason)

    @property
    def rest(self) -> Explanation | None:
        """Why the lane is in a long rest. None if it isn't or the user may not see it."""
        if not self._may(Action.SEE_CONNECTION) or self.connection is None:
            return None
        return explain_rest(self.connection, timezone.now())

    @cached_property
    def paused_rules(self) -> list[ConversionRule]:
        """The active rules that LinkedIn's responses have paused. Empty if the user may not see them."""
        if not self._may(Action.SEE_CONNECTION) or self.connection is None:
            return []
        has_any = getattr(self.connection, "has_paused_rules", False)
        return list(PAUSED.for_company(self.connection.company_id)) if has_any else []

    @cached_property
    def open_alerts(self) -> int:
        """How many alerts are open, for the tabs of the pages about LinkedIn. 0 if the user may not see them."""
        if self.membership is None or not self._may(Action.SEE_CONNECTION):
            return 0
        return (
            Alert.objects.for_company(self.membership.company_id)
            .still_open()[:100]
            .count()
        )

    @cached_property
    def held(self) -> OnHold | None:
        """Events on hold, only on the pages about LinkedIn. None if the user may not see them."""
        is_linkedin_page = self._path.startswith(reverse("linkedin"))
        if (
            not is_linkedin_page
            or not self._may(Action.SEE_CONNECTION)
            or self.connection is None
        ):
            return None
        return on_hold(self.connection.company_id, self.connection, self.paused_rules)

    @cached_property
    def deadlines(self) -> list[Explanation]:
        """Deadlines that are near. Only admins can replace a token; ops can contact the operator about the version."""
        today, ends = timezone.localdate(), []
        if self._may(Action.SEE_CONNECTION):
            ends.append(end_of_version(settings.LINKEDIN_API_VERSION, today))
        if self._may(Action.CHANGE_CONNECTION) and self.connection is not None:
            ends.append(end_of_token(self.connection.token_expires_on, today))
        return [end.words for end in ends if end is not None and end.is_near]

    def _may(self, action: Action) -> bool:
        return self.membership is not None and self.membership.may(action)

    @property
    def is_sandbox(self) -> bool:
        return settings.LINKEDIN_SANDBOX

    @property
    def other_address(self) -> str:
        """The URL that events are sent to if it isn't LinkedIn's, otherwise "". It may be the sandbox's."""
        if settings.LINKEDIN_API_URL == settings.LINKEDIN_REAL_URL:
            return ""
        return settings.LINKEDIN_API_URL


def connection_status(request: HttpRequest) -> ConnectionStatus:
    """The connection's status for this request. The view and the banners share it and its query."""
    if not hasattr(request, "linkedin_status"):
        request.linkedin_status = ConnectionStatus(request)  # type: ignore[attr-defined]
    return request.linkedin_status  # type: ignore[attr-defined, no-any-return]


def last_confirmed(
    connection: Connection | None, rows: Sequence[RuleRow]
) -> datetime | None:
    """When LinkedIn last accepted the current token: for an event, or to list rules. None if it never did."""
    if connection is None or not connection.has_token:
        return None
    times = [
        connection.token_confirmed_at,
        *(at for row in rows for at in (row.last_taken_at, row.rule.linkedin_read_at)),
    ]
    saved_at = connection.token_saved_at
    return max(
        (at for at in times if at is not None and (saved_at is None or at >= saved_at)),
        default=None,
    )
