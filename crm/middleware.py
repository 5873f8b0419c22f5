"""Which company a signed-in person works in, and whose name the changes of this request carry."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from crm.models import Membership, User
from crm.models.tracking import acting_as

COMPANY_KEY = "company"  # in the session: the id of the company chosen in the header


class MembershipMiddleware:
    """Sets `request.memberships` and `request.membership` (None without one), at the price of one query.

    Requests with an API key carry no session, and are none of its business.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = request.user if isinstance(request.user, User) else None
        memberships = _memberships(user) if user else []
        request.memberships = memberships  # type: ignore[attr-defined]
        request.membership = _active(memberships, request.session.get(COMPANY_KEY))  # type: ignore[attr-defined]
        with acting_as(user):
            return self.get_response(request)


def _memberships(user: User) -> list[Membership]:
    memberships = list(Membership.objects.filter(user=user).select_related("company"))
    for membership in memberships:
        membership.user = user
    return memberships


def _active(memberships: list[Membership], company_id: int | None) -> Membership | None:
    chosen = (membership for membership in memberships if membership.company_id == company_id)
    return next(chosen, memberships[0] if memberships else None)
