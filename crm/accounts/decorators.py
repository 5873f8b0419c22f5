"""Access to pages by role, and asking for the password again."""

import time
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from allauth.account import app_settings
from allauth.account.authentication import get_authentication_records
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django_htmx.middleware import HtmxDetails

from crm.models import Membership, User
from crm.models.roles import Action
from crm.models.tenancy import CompanyQuerySet, M

P = ParamSpec("P")


class MemberRequest(HttpRequest):
    """A request from a signed-in member of a company."""

    user: User
    htmx: HtmxDetails
    membership: Membership
    memberships: list[Membership]


MemberView = Callable[Concatenate[MemberRequest, P], HttpResponseBase]
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def member(action: Action) -> Callable[[MemberView[P]], View[P]]:
    """Decorate a view of a company's data: only members whose role may do `action` have access.

    Others get a 403 page with the reason, as do users without a company. Dates are in the company's time zone.
    """

    def decorate(view: MemberView[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            membership: Membership | None = getattr(request, "membership", None)
            if membership is None:
                return _without_company(request)
            require(membership, action)
            with timezone.override(membership.company.time_zone):
                return view(cast(MemberRequest, request), *args, **kwargs)

        return cast(View[P], guarded)

    return decorate


def _without_company(request: HttpRequest) -> HttpResponse:
    own = Membership.objects.filter(user=cast(User, request.user)).select_related("company")
    context = {"closed": own.active().first(), "shut_out": own.of_open_companies().filter(is_active=False)}
    return render(request, "crm/company/no_company.html", context, status=403)


def require(membership: Membership, action: Action) -> None:
    """Raise PermissionDenied, with a message for the page, unless this member may do `action`."""
    if not membership.may(action):
        raise PermissionDenied(
            f"Your role at {membership.company} is {membership.get_role_display()}, which doesn't include this. "
            "Ask an admin to do it, or to give you another role."
        )


def own_or_404(rows: CompanyQuerySet[M], request: MemberRequest, pk: object) -> M:
    """The company's row with this id. Raises Http404 for another company's id, an unknown id or an invalid one."""
    try:
        return rows.for_company(request.membership.company).get(pk=pk)
    except (ObjectDoesNotExist, ValueError, TypeError):
        raise Http404 from None


# Asking for the password again: someone who finds an open browser doesn't know it.


def has_given_password_lately(request: HttpRequest) -> bool:
    """True if this session had a password or code within allauth's REAUTHENTICATION_TIMEOUT (5 minutes)."""
    times = [record["at"] for record in get_authentication_records(request, request.user)]
    return bool(times) and time.time() - max(times) < cast(float, app_settings.REAUTHENTICATION_TIMEOUT)


def ask_password(request: HttpRequest, *, back_to: str, then: str) -> HttpResponse:
    """Redirect to the page that asks for the password, with a message about what to do `then`. Input is not kept."""
    messages.warning(request, f"Enter your password again, then {then}.")
    return redirect_to_login(back_to, "account_reauthenticate")
