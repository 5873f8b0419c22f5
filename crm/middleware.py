"""Which company a signed-in person works in, and whose name the changes of this request carry."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import rotate_token

from crm.models import Membership, User
from crm.models.lead import PersonErased
from crm.models.tracking import DeletedMeanwhile, acting_as
from crm.views.errors import conflict, csrf_failure, not_found

SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")
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
        if _was_moved(request) and request.method not in SAFE_METHODS:
            return csrf_failure(request)
        with acting_as(user):
            return self.get_response(request)


class GoneMeanwhile:
    """Answers with 409 and a sentence, or with 404, where a page would write what was erased or deleted since."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if isinstance(exception, DeletedMeanwhile):
            return not_found(request, exception)
        return conflict(request, str(exception)) if isinstance(exception, PersonErased) else None


@receiver(user_logged_in)
def _choose_company(request: HttpRequest, user: User, **kwargs: Any) -> None:
    """Begin each session in the user's first company, and keep that in the session: see `_chosen`."""
    first = Membership.objects.active().of_open_companies().filter(user=user).first()
    if first:
        request.session[COMPANY_KEY] = first.company_id


def _memberships(user: User) -> list[Membership]:
    own = Membership.objects.active().of_open_companies().filter(user=user)
    memberships = list(own.select_related("company"))
    for membership in memberships:
        membership.user = user
    return memberships


def _chosen(request: HttpRequest, memberships: list[Membership]) -> Membership | None:
    company_id = request.session.get(COMPANY_KEY)
    chosen = (membership for membership in memberships if membership.company_id == company_id)
    return next(chosen, memberships[0] if memberships else None)


def _was_moved(request: HttpRequest) -> bool:
    """True if this session's company shut its user out, so that it is another company's from here on.

    Pages of the former one that are still open must not write into it: the CSRF token in them ends here (S07).
    """
    membership: Membership | None = request.membership  # type: ignore[attr-defined]
    if membership is None or request.session.get(COMPANY_KEY, membership.company_id) == membership.company_id:
        return False
    request.session[COMPANY_KEY] = membership.company_id
    rotate_token(request)
    return True
