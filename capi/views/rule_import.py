"""Importing rules from LinkedIn: the list that the token may read, or why there is none."""

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
from capi.delivery.linkedin_rules import known_rules, read_anew
from capi.forms.rule_import import AdAccountForm, ImportForm
from capi.linkedin.rules import ReadStatus, RulesRead
from capi.models import Connection, ConversionRule, CrmEventName
from capi.models.choices import Reason
from capi.models.token import UnreadableToken
from capi.selectors.connection import connection_status
from capi.selectors.explanations.reasons import READINGS, REASONS
from capi.selectors.explanations.rules import COUNTED_TWICE, EVENTS, too_often
from capi.selectors.rule_health import firing_of_each
from capi.selectors.rule_import import importable_rules, skipped_rules
from capi.services.rule_import import Imported, import_rules
from crm.accounts.decorators import MemberRequest, member
from crm.models.roles import Action
from crm.services import rate_limits

READS_PER_MINUTE: Final = 10
ROWS_PER_PAGE: Final = 100


@member(Action.CHANGE_RULES)
def choose(request: MemberRequest) -> HttpResponse:
    """Offer LinkedIn's rules, and make rules of those for which a CRM event was chosen."""
    return _page(request)


@require_POST
@member(Action.CHANGE_CONNECTION)
def save_account(request: MemberRequest) -> HttpResponse:
    """Keep the ad account id, without which LinkedIn lists nothing."""
    form = AdAccountForm(request.POST)
    if not form.is_valid():
        return _page(request, account_form=form)
    services.save_ad_account(company=request.membership.company, **form.cleaned_data)
    return redirect("rule_import")


def _page(request: MemberRequest, account_form: AdAccountForm | None = None) -> HttpResponse:
    connection = connection_status(request).connection
    account = connection.ad_account_id if connection else ""
    shown: dict[str, Any] = {
        "account_form": account_form or AdAccountForm(initial={"ad_account_id": account}),
        "account": account,
    }
    if connection is None or not connection.has_token:
        return _render(request, {**shown, "problem": REASONS[Reason.NO_TOKEN]})
    if not account or account_form:
        return _render(request, shown)
    try:
        read = _read(connection, anew="anew" in request.GET)
    except rate_limits.TooOften as error:
        return _render(request, {**shown, "problem": too_often(str(error))})
    except UnreadableToken:
        return _render(request, {**shown, "problem": REASONS[Reason.TOKEN_UNREADABLE]})
    if read.outcome != ReadStatus.FOUND:
        return _render(request, {**shown, "problem": READINGS[read.outcome], "said": read.said.message})
    return _offered(request, read, shown)


def _read(connection: Connection, *, anew: bool) -> RulesRead:
    known = None if anew else known_rules(connection)
    if known is None:
        rate_limits.check("rule-reads", company_id=connection.company_id, at_most=READS_PER_MINUTE)
        return read_anew(connection)
    return known


def _offered(request: MemberRequest, read: RulesRead, shown: dict[str, Any]) -> HttpResponse:
    company = request.membership.company
    own = list(ConversionRule.objects.for_company(company))
    page = Paginator(importable_rules(read, own), ROWS_PER_PAGE).get_page(request.GET.get("page"))
    form = ImportForm(request.POST if request.method == "POST" else None, offers=list(page))
    if form.is_valid():
        try:
            imported = import_rules(company=company, chosen=form.chosen())
        except ValidationError as error:
            form.add_error(None, error.messages)
        else:
            messages.success(request, _told(imported))
            return redirect(reverse("linkedin") + "#map")
    return _render(
        request,
        {
            **shown,
            "form": form,
            "page": page,
            "left_out": skipped_rules(read),
            "read": read,
            "lost": EVENTS[CrmEventName.DEAL_LOST],
            "counted_twice": COUNTED_TWICE,
            "firings": firing_of_each(company),
        },
    )


def _told(imported: Imported) -> str:
    added, off, before = imported.added, imported.off, imported.there_already
    sentences = [
        f"{added} rule{pluralize(added)} imported. Press play in step 3 to try {pluralize(added, 'it,them')}.",
        f"What reports “{CrmEventName.DEAL_LOST.label}” begins switched off, and without a value." if off else "",
        f"{before} of the chosen ones {pluralize(before, 'was,were')} there already." if before else "",
    ]
    return " ".join(filter(None, sentences))


def _render(request: MemberRequest, shown: dict[str, Any]) -> HttpResponse:
    return render(request, "capi/rules/import.html", shown)
