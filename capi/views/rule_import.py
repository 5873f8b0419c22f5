"""Importing rules from LinkedIn: the rules the token may read, or why it can't."""

from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.template.defaultfilters import pluralize
from django.urls import reverse
from django.views.decorators.http import require_POST

from capi import services
from capi.delivery.linkedin_rules import cached_rules, refresh_rules
from capi.forms.rule_import import AdAccountForm, ImportForm
from capi.linkedin.rules import ReadStatus, RulesRead
from capi.models import Connection, ConversionRule, CrmEventName
from capi.models.choices import Reason
from capi.models.token import UnreadableToken
from capi.selectors.connection import connection_status
from capi.selectors.explanations.reasons import READINGS, REASONS
from capi.selectors.explanations.rules import COUNTED_TWICE, EVENTS, too_often
from capi.selectors.explanations.states import Explanation
from capi.selectors.rule_health import firing_of_each
from capi.selectors.rule_import import importable_rules, skipped_rules
from capi.services.rule_import import Imported, import_rules
from crm.accounts.decorators import MemberRequest, member
from crm.models.roles import Action
from crm.services import rate_limits

ROWS_PER_PAGE: Final = 100


READ: Final = "read"  # the name of the button that reads the list from LinkedIn


@member(Action.CHANGE_RULES)
def choose(request: MemberRequest) -> HttpResponse:
    """List LinkedIn's rules as they were last read. A POST reads them, or imports those with a chosen CRM event."""
    return _page(request)


@require_POST
@member(Action.CHANGE_CONNECTION)
def save_account(request: MemberRequest) -> HttpResponse:
    """Save the ad account id. LinkedIn lists no rules without it."""
    form = AdAccountForm(request.POST, initial=_account(request))
    if not form.is_valid():
        return _page(request, account_form=form)
    services.save_ad_account(company=request.membership.company, **form.cleaned_data)
    return redirect("rule_import")


def _account(request: MemberRequest) -> dict[str, str]:
    connection = connection_status(request).connection
    return {"ad_account_id": connection.ad_account_id if connection else ""}


def _page(
    request: MemberRequest, account_form: AdAccountForm | None = None
) -> HttpResponse:
    connection = connection_status(request).connection
    saved = _account(request)
    account = saved["ad_account_id"]
    context: dict[str, Any] = {
        "account_form": account_form or AdAccountForm(initial=saved),
        "account": account,
        "has_token": connection is not None and connection.has_token,
    }
    if connection is None or not connection.has_token:
        return _render(request, {**context, "problem": REASONS[Reason.NO_TOKEN]})
    if not account or account_form:
        return _render(request, context)
    read = _read(connection, request)
    if read is None:
        return _render(request, {**context, "is_unread": True})
    if isinstance(read, Explanation):
        return _render(request, {**context, "problem": read})
    if read.outcome != ReadStatus.FOUND:
        return _render(
            request,
            {
                **context,
                "problem": READINGS[read.outcome],
                "said": read.api_message.message,
            },
        )
    return _list_rules(request, read, context)


def _read(
    connection: Connection, request: MemberRequest
) -> RulesRead | Explanation | None:
    """The list as it was last read, or why there is none. Only a POST queries LinkedIn: otherwise that may be None."""
    known = None if READ in request.POST else cached_rules(connection)
    if known is not None or request.method != "POST":
        return known
    try:
        rate_limits.check("rule-reads", company_id=connection.company_id, at_most=10)
        return refresh_rules(connection)
    except rate_limits.TooOften as error:
        return too_often(str(error))
    except UnreadableToken:
        return REASONS[Reason.TOKEN_UNREADABLE]


def _list_rules(
    request: MemberRequest, read: RulesRead, context: dict[str, Any]
) -> HttpResponse:
    company = request.membership.company
    own = list(ConversionRule.objects.for_company(company))
    page = Paginator(importable_rules(read, own), ROWS_PER_PAGE).get_page(
        request.GET.get("page")
    )
    is_import = request.method == "POST" and READ not in request.POST
    form = ImportForm(request.POST if is_import else None, offers=list(page))
    if form.is_valid():
        try:
            imported = import_rules(company=company, chosen=form.chosen())
        except ValidationError as error:
            form.add_error(None, error.messages)
        else:
            messages.success(request, _import_message(imported))
            return redirect(reverse("linkedin") + "#map")
    return _render(
        request,
        {
            **context,
            "form": form,
            "page": page,
            "left_out": skipped_rules(read),
            "read": read,
            "lost": EVENTS[CrmEventName.DEAL_LOST],
            "counted_twice": COUNTED_TWICE,
            "firings": firing_of_each(company),
        },
    )


def _import_message(imported: Imported) -> str:
    added, off, existing = imported.added, imported.off, imported.existing
    sentences = [
        f"{added} rule{pluralize(added)} imported. Press play to test {pluralize(added, 'it,them')}.",
        f"Rules for “{CrmEventName.DEAL_LOST.label}” start switched off and without a value."
        if off
        else "",
        f"{existing} of the chosen rules already existed." if existing else "",
    ]
    return " ".join(filter(None, sentences))


def _render(request: MemberRequest, context: dict[str, Any]) -> HttpResponse:
    return render(request, "capi/rules/import.html", context)
