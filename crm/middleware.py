"""Which company a signed-in person works in, and whose name the changes of this request carry."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import rotate_token

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
        request.membership = _chosen(request, memberships)  # type: ignore[attr-defined]
        with acting_as(user):
            return self.get_response(request)


@receiver(user_logged_in)
def _choose_company(request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Begin each session in the user's first company, and keep that in the session: see `_chosen`."""
    first = Membership.objects.active().filter(user=user).first()
    if first:
        request.session[COMPANY_KEY] = first.company_id


def _memberships(user: User) -> list[Membership]:
    memberships = list(Membership.objects.active().filter(user=user).select_related("company"))
    for membership in memberships:
        membership.user = user
    return memberships


def _chosen(request: HttpRequest, memberships: list[Membership]) -> Membership | None:
    company_id = request.session.get(COMPANY_KEY)
    found = next((membership for membership in memberships if membership.company_id == company_id), None)
    if found is None and memberships:
        found = memberships[0]
        if company_id is not None:
            # They were shut out of the company they worked in. Pages of it that are still open must not write into
            # this one, so the CSRF token that is in them ends here (S07).
            request.session[COMPANY_KEY] = found.company_id
            rotate_token(request)
    return found
