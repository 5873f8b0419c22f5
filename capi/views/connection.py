"""The LinkedIn page: its three steps, the access token, resuming, and the check-up."""

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
from capi.diagnostics.findings import Check
from capi.forms.connection import TokenForm
from capi.models import Connection
from capi.selectors.connection import connection_status, last_confirmed
from capi.selectors.dashboard import open_events
from capi.selectors.deadlines import end_of_token
from capi.selectors.on_hold import on_hold
from capi.selectors.rules import by_event, rule_rows
from capi.selectors.trouble import trouble
from capi.services import connection_of
from crm.accounts.decorators import MemberRequest, member
from crm.accounts.fresh_password import fresh_password, kept_fields
from crm.forms.changes import CHANGED_HERE, with_opened
from crm.forms.company import GraceForm
from crm.models import Company
from crm.models.roles import Action
from crm.services import rate_limits
from crm.services.companies import save_company

# Each calls LinkedIn and counts towards the token's limit.
CHECKS_PER_MINUTE: Final = 10

# The LinkedIn page: connect, map, verify.


@require_safe
@member(Action.SEE_CONNECTION)
def setup(request: MemberRequest) -> HttpResponse:
    return render(request, "capi/connection/linkedin.html", setup_context(request))


def setup_context(request: MemberRequest) -> dict[str, Any]:
    """The template context for the state of the three steps."""
    connection = connection_status(request).connection
    rows = rule_rows(request.membership.company_id, connection)
    rules = [row.rule for row in rows]
    active = [row for row in rows if row.rule.is_active]
    held = on_hold(request.membership.company_id, connection, rules)
    stopped = trouble(connection, rows, timezone.now())
    return {
        "connection": connection,
        "api_version": settings.LINKEDIN_API_VERSION,
        "confirmed_at": last_confirmed(connection, rows),
        "token_end": end_of_token(connection.token_expires_on, timezone.localdate())
        if connection
        else None,
        "trouble": stopped,
        "rows": rows,
        "event_rules": by_event(rows),
        "held": held,
        "paused": [row for row in rows if row.pause],
        "active": active,
        "proven": [row for row in active if row.is_proven],
        "grace_form": GraceForm(instance=request.membership.company),
        "report": report_of(
            request.membership.company_id,
            connection,
            rows,
            held,
            stopped.words if stopped else None,
        ),
    }


# Step 1: save and remove the access token, resume after a pause.


@sensitive_post_parameters("token")
@member(Action.CHANGE_CONNECTION)
@fresh_password(kept=with_opened("ad_account_id", "expires_on", "saved_token"))
def token(request: MemberRequest) -> HttpResponse:
    """The form for the token, ad account and expiry date. A valid token is saved even if another field is invalid."""
    connection = connection_status(request).connection
    saved = _token_details(connection)
    if request.method != "POST":
        form = TokenForm(initial=saved, typed=kept_fields(request))
        return render(
            request,
            "capi/connection/token.html",
            {"form": form, "connection": connection},
        )
    form = TokenForm(request.POST, initial=saved)
    if form.is_valid():
        messages.success(request, _save_token_form(request, form))
        return redirect("linkedin")
    if form.cleaned_data.get("token"):
        form.error_heading = _save_token_form(request, form)
        form.token_was_saved(
            connection_of(request.membership.company).token_fingerprint
        )
    return render(
        request, "capi/connection/token.html", {"form": form, "connection": connection}
    )


def _token_details(connection: Connection | None) -> dict[str, Any]:
    return {
        "ad_account_id": connection.ad_account_id if connection else "",
        "expires_on": connection.token_expires_on if connection else None,
        "saved_token": connection.token_fingerprint if connection else "",
    }


def _save_token_form(request: MemberRequest, form: TokenForm) -> str:
    """Save the valid fields, and test the token if possible. Returns what happened, in a sentence or two."""
    company, fields = request.membership.company, form.cleaned_data
    details = {
        "ad_account_id": fields.get("ad_account_id", ""),
        "expires_on": fields.get("expires_on"),
    }
    if not fields["token"]:
        services.save_token_details(
            company=company, fields=form.changed_data, **details
        )
        return f"Saved. {_try_token(company)}".strip()
    held = open_events(company, connection_status(request).connection).on_hold
    connection = services.save_token(
        company=company, user=request.user, token=fields["token"], **details
    )
    has_released = open_events(company, connection).on_hold < held
    released = "Events on hold are being sent now." if has_released else ""
    return " ".join(
        filter(None, ["Access token saved.", released, _try_token(company)])
    )


def _try_token(company: Company) -> str:
    """Test the saved token with LinkedIn. Returns the result, "" without an ad account id or after too many checks."""
    before = connection_of(company)
    if not before.ad_account_id:
        return ""
    try:
        rate_limits.check("checkups", company_id=company.pk, at_most=CHECKS_PER_MINUTE)
    except rate_limits.TooOften:
        return ""
    findings = check_up(company)
    if connection_of(company).token_confirmed_at != before.token_confirmed_at:
        return "LinkedIn accepts it."
    return " ".join(
        f"{each.sentence} {each.fix}"
        for each in findings
        if each.check == Check.AT_LINKEDIN
    )


@member(Action.CHANGE_CONNECTION)
@fresh_password()
def remove_token(request: MemberRequest) -> HttpResponse:
    """Confirm, then delete the token."""
    if request.method == "POST":
        services.remove_token(company=request.membership.company)
        messages.success(
            request, "Access token removed. Events are kept until you save a new one."
        )
        return redirect("linkedin")
    return render(
        request,
        "capi/connection/token_remove.html",
        {"connection": connection_status(request).connection},
    )


@require_POST
@member(Action.CHANGE_CONNECTION)
def resume(request: MemberRequest) -> HttpResponse:
    """Resume sending after a pause, or retry now if it is delayed."""
    connection = connection_status(request).connection
    try:
        services.resume_connection(company=request.membership.company)
    except services.SendingPaused as error:
        messages.error(request, str(error))
        return redirect("linkedin")
    if connection is not None and connection.is_paused:
        messages.success(
            request,
            "Sending resumed. If LinkedIn gives the same answer again, it pauses again.",
        )
    else:
        messages.success(
            request, "Trying again now. Recent Events shows LinkedIn's response."
        )
    return redirect("linkedin")


# Step 3: the grace period.


@require_POST
@member(Action.CHANGE_CONNECTION)
def save_grace(request: MemberRequest) -> HttpResponse:
    """Save how long a change can be undone before it is sent to LinkedIn."""
    form = GraceForm(request.POST, instance=request.membership.company)
    if form.non_field_errors():
        messages.error(request, CHANGED_HERE.format(what="the time to undo was"))
    elif form.is_valid():
        save_company(company=form.instance, fields=form.changed_data)
        messages.success(
            request, "Time to undo saved. It applies to changes from now on."
        )
    else:
        messages.error(request, "Choose one of the listed times.")
    return redirect(reverse("linkedin") + "#verify")


# “Check everything”.


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
            "capi/connection/_checked.html",
            {**setup_context(request), "problem": problem},
        )
    if problem:
        messages.error(request, problem)
    return redirect(reverse("linkedin") + "#doctor")


# The context processor for the banners on every page.


def connection_state(request: HttpRequest) -> dict[str, Any]:
    return {"line": connection_status(request)}
