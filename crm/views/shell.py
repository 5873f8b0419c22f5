"""Theme, company switch and outcomes column, and helpers for redirects and lists."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from django.conf import settings
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import rotate_token
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from crm.accounts.decorators import MemberRequest, member
from crm.accounts.middleware import COMPANY_KEY
from crm.models import Membership
from crm.models.roles import Action, Role
from crm.selectors.timeline import EventOutcome
from crm.services.people import show_outcomes
from crm.views.context_processors import THEME_COOKIE, THEMES

YEAR_SECONDS = 365 * 24 * 3600


@require_safe
@member(Action.SEE_LEADS)
def home(request: MemberRequest) -> HttpResponse:
    """Redirect sales reps to My day, and admins and ops, who answer for the company's numbers, to the dashboard."""
    return redirect("my_day" if request.membership.role == Role.SALES else "dashboard")


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    """Store the theme in a cookie and go back to the page."""
    response = redirect(back_to(request))
    if request.POST.get("theme") in THEMES:
        response.set_cookie(
            THEME_COOKIE,
            request.POST["theme"],
            max_age=YEAR_SECONDS,
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
    return response


@require_POST
def switch_company(request: HttpRequest) -> HttpResponse:
    """Switch to another of the user's companies. Ignores any other company."""
    own = {str(membership.company_id): membership for membership in request.memberships}  # type: ignore[attr-defined]
    chosen = own.get(request.POST.get("company", ""))
    if chosen:
        work_in(request, chosen)
    return redirect("home")


@require_POST
@member(Action.SEE_LEADS)
def outcomes_column(request: MemberRequest) -> HttpResponse:
    """Show or hide the outcomes column in the lists of leads and deals. The choice is stored per member."""
    show_outcomes(membership=request.membership, shown=request.POST.get("shown") == "1")
    return redirect(back_to(request, default=reverse("leads")))


def work_in(request: HttpRequest, membership: Membership) -> None:
    """Make this the session's current company.

    Rotates the CSRF token: a page of the previous company in another tab can't write, and is asked to reload.
    """
    request.session[COMPANY_KEY] = membership.company_id
    rotate_token(request)


def back_to(request: HttpRequest, default: str = "/") -> str:
    """The URL in `next`, from the form or the query string, if it is on this host; else `default`.

    A bare word would be on this host too, but `redirect` would take it for the name of a view.
    """
    address = request.POST.get("next", request.GET.get("next", ""))
    is_ours = url_has_allowed_host_and_scheme(
        address, {request.get_host()}, require_https=request.is_secure()
    )
    return address if is_ours and "/" in address else default


def whole_page(request: MemberRequest, url: str) -> HttpResponse:
    """Redirect to another page, from a form that htmx sends to replace a part of this one."""
    return HttpResponseClientRedirect(url) if request.htmx else redirect(url)


M = TypeVar("M", bound=Model)


def with_outcomes(
    page: Iterable[M],
    outcomes_of: Callable[[Sequence[M]], Mapping[int, EventOutcome]],
    request: MemberRequest,
) -> list[tuple[M, EventOutcome | None]]:
    """The rows of a page, each with its outcome. Outcomes are queried only if the column is shown."""
    rows = list(page)
    outcomes = outcomes_of(rows) if request.membership.shows_outcomes else {}
    return [(row, outcomes.get(row.pk)) for row in rows]
