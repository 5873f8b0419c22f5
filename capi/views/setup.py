"""The LinkedIn page: connect, map, verify."""

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from capi.context_processors import line_of
from capi.deadlines import end_of_token
from capi.forms import TokenForm
from capi.models import CrmEventName
from capi.reads.checkup import report_of
from capi.reads.on_hold import on_hold
from capi.reads.rules import mapped_events, rule_rows
from crm.roles import Action
from crm.views.access import MemberRequest, member


@require_safe
@member(Action.SEE_CONNECTION)
def setup(request: MemberRequest) -> HttpResponse:
    return setup_page(request)


def setup_page(request: MemberRequest, token_form: TokenForm | None = None) -> HttpResponse:
    """The page, with the token form that was refused in the place of a fresh one."""
    steps = how_far(request)
    account = getattr(steps["connection"], "ad_account_id", "")
    form = token_form or TokenForm(initial={"ad_account_id": account})
    return render(request, "capi/linkedin.html", {**steps, "token_form": form})


def how_far(request: MemberRequest) -> dict[str, Any]:
    """How things stand with each of the three steps."""
    connection = line_of(request).connection
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
        "report": report_of(request.membership.company_id, connection, rows),
    }
