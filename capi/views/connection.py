"""The LinkedIn page: its three steps, the access token, resuming, and the doctor."""

from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST, require_safe

from capi import services
from capi.diagnostics.checkups import check_up, report_of
from capi.forms.connection import TokenForm
from capi.models import CrmEventName
from capi.selectors.connection import connection_status
from capi.selectors.dashboard import open_events
from capi.selectors.deadlines import end_of_token
from capi.selectors.on_hold import on_hold
from capi.selectors.rules import mapped_events, rule_rows
from crm.accounts.decorators import MemberRequest, ask_password, has_given_password_lately, member
from crm.forms.company import GraceForm
from crm.models.roles import Action
from crm.services import rate_limits
from crm.services.companies import save_company

# The LinkedIn page: connect, map, verify.


@require_safe
@member(Action.SEE_CONNECTION)
def setup(request: MemberRequest) -> HttpResponse:
    return setup_page(request)


def setup_page(request: MemberRequest, token_form: TokenForm | None = None) -> HttpResponse:
    """The page, with the rejected token form if there is one."""
    steps = setup_context(request)
    account = getattr(steps["connection"], "ad_account_id", "")
    form = token_form or TokenForm(initial={"ad_account_id": account})
    return render(request, "capi/connection/linkedin.html", {**steps, "token_form": form})


def setup_context(request: MemberRequest) -> dict[str, Any]:
    """The template context for the state of the three steps."""
    connection = connection_status(request).connection
    rows = rule_rows(request.membership.company_id, connection)
    rules = [row.rule for row in rows]
    active = [row for row in rows if row.rule.is_active]
    return {
        "connection": connection,
        "api_version": settings.LINKEDIN_API_VERSION,
        "token_end": end_of_token(connection.token_expires_on, timezone.localdate()) if connection else None,
        "rows": rows,
        "held": on_hold(request.membership.company_id, connection, rules),
        "paused": [row for row in rows if row.pause],
        "mapped": mapped_events(rules),
        "mappable": len(CrmEventName),
        "active": active,
        "proven": [row for row in active if row.is_proven],
        "grace_form": GraceForm(instance=request.membership.company),
        "report": report_of(request.membership.company_id, connection, rows),
    }


# Step 1: save and remove the access token, resume after a pause.


@sensitive_post_parameters("token")
@require_POST
@member(Action.CHANGE_CONNECTION)
def save_token(request: MemberRequest) -> HttpResponse:
    """Seal and save the token. Asks for the password unless it was given recently."""
    if not has_given_password_lately(request):
        return ask_password(request, back_to=reverse("linkedin"), then="paste the token again")
    form = TokenForm(request.POST)
    if not form.is_valid():
        return setup_page(request, token_form=form)
    company = request.membership.company
    held = open_events(company, connection_status(request).connection).on_hold
    connection = services.save_token(company=company, user=request.user, **form.cleaned_data)
    has_released = open_events(company, connection).on_hold < held
    messages.success(request, f"Access token saved.{' Events on hold are being sent now.' if has_released else ''}")
    return redirect("linkedin")


@member(Action.CHANGE_CONNECTION)
def remove_token(request: MemberRequest) -> HttpResponse:
    """Confirm, then delete the token."""
    if request.method == "POST":
        services.remove_token(company=request.membership.company)
        messages.success(request, "Access token removed. Events are kept until you save a new one.")
        return redirect("linkedin")
    return render(request, "capi/connection/token_remove.html", {"connection": connection_status(request).connection})


@require_POST
@member(Action.CHANGE_CONNECTION)
def resume(request: MemberRequest) -> HttpResponse:
    """Resume after a pause, or retry now what is waiting for LinkedIn."""
    connection = connection_status(request).connection
    services.resume_connection(company=request.membership.company)
    if connection is not None and connection.is_paused:
        messages.success(request, "Sending resumed. If LinkedIn gives the same answer again, it pauses again.")
    else:
        messages.success(request, "Trying again now. Recent events shows what LinkedIn answers.")
    return redirect("linkedin")


# Step 3: the grace period.


@require_POST
@member(Action.CHANGE_CONNECTION)
def save_grace(request: MemberRequest) -> HttpResponse:
    """Save how long a change can be taken back before LinkedIn is told."""
    form = GraceForm(request.POST, instance=request.membership.company)
    if form.is_valid():
        save_company(company=form.instance, fields=form.changed_data)
        messages.success(request, "Time to undo saved. It applies to changes from now on.")
    else:
        messages.error(request, "Choose one of the listed times.")
    return redirect(reverse("linkedin") + "#verify")


# “Check everything”.

CHECKS_PER_MINUTE: Final = 10  # each calls LinkedIn and counts towards the token's limit


@require_POST
@member(Action.TEST_RULES)
def check(request: MemberRequest) -> HttpResponse:
    """Run a check-up and save it. Returns the card for htmx, otherwise a redirect to the page."""
    company, problem = request.membership.company, ""
    try:
        rate_limits.check("checkups", company_id=company.pk, at_most=CHECKS_PER_MINUTE)
        check_up(company)
    except rate_limits.TooOften as error:
        problem = str(error)
    if request.htmx:
        return render(
            request,
            "capi/connection/_doctor_findings.html",
            {**setup_context(request), "problem": problem, "checked": True},
        )
    if problem:
        messages.error(request, problem)
    return redirect(reverse("linkedin") + "#doctor")


# The context processor for the banners on every page.


def connection_state(request: HttpRequest) -> dict[str, Any]:
    return {"line": connection_status(request)}
