"""Access to pages by role."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar, cast

from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.db import IntegrityError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django_htmx.middleware import HtmxDetails

from crm.accounts.sessions import provider_of
from crm.models import Membership, SignInProvider, User
from crm.models.lead import PersonErased
from crm.models.roles import Action
from crm.models.tenancy import CompanyQuerySet, M

P = ParamSpec("P")
R = TypeVar("R")


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
        def guarded(
            request: HttpRequest, *args: P.args, **kwargs: P.kwargs
        ) -> HttpResponseBase:
            membership: Membership | None = getattr(request, "membership", None)
            if membership is None:
                return _without_company(request)
            require(membership, action)
            with timezone.override(membership.company.time_zone):
                return view(cast(MemberRequest, request), *args, **kwargs)

        return cast(View[P], guarded)

    return decorate


def checked_again(view: Callable[P, R]) -> Callable[P, R]:
    """Decorate a form's view: run it again if a constraint fails because someone else has just taken a name, or deleted
    a choice.

    If two people do the same at once, the database rejects the second. When the view runs again, the form finds what
    the first has done and explains it. The view writes in one transaction, so a rejected attempt leaves nothing behind.
    """

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return view(*args, **kwargs)
        except PersonErased:
            raise
        except IntegrityError:
            return view(*args, **kwargs)

    return guarded


def _without_company(request: HttpRequest) -> HttpResponse:
    own = Membership.objects.filter(user=cast(User, request.user)).select_related(
        "company"
    )
    open_ones = own.of_open_companies()
    context = {
        "providers": SignInProvider.objects.filter(
            company__memberships__in=open_ones.active(), is_required=True
        ),
        "closed": own.active().filter(company__is_active=False).first(),
        "is_by_provider": bool(provider_of(request, cast(User, request.user))),
        "shut_out": open_ones.filter(is_active=False),
    }
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
