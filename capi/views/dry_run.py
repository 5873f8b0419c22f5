"""Dry run: the request that would be sent, without sending it. And the hash of any address."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.debug import sensitive_post_parameters

from capi.forms.events import HashForm
from capi.linkedin.identity import PUBLISHED, email_sha256, normalise_email, why_no_hash
from capi.models import ConversionRule
from capi.selectors.connection import connection_status
from capi.selectors.dry_run import DryRun
from capi.selectors.dry_run import dry_run as run_dry
from capi.selectors.explanations.dry_run import NO_HASH
from crm.accounts.decorators import MemberRequest, member, own_or_404
from crm.forms.filters import SearchForm
from crm.models import Deal, Lead
from crm.models.roles import Action

LEADS_OFFERED = 20


@member(Action.SEE_EVENT_LOG)
def dry_run(request: MemberRequest) -> HttpResponse:
    """The dry run for `?lead=` or `?deal=` and `?rule=`; without lead or deal, a lead search, sent by POST."""
    deal = None
    if request.GET.get("deal"):
        deal = own_or_404(Deal.objects.all(), request, request.GET["deal"])
    lead_id = deal.lead_id if deal else request.GET.get("lead")
    lead = own_or_404(Lead.objects.all(), request, lead_id) if lead_id else None
    rules = list(ConversionRule.objects.for_company(request.membership.company))
    rule = _rule(request, rules, prefer_deal=deal is not None)
    context: dict[str, Any] = {"lead": lead, "deal": deal, "rule": rule, "rules": rules}
    if lead is None:
        context |= _leads_to_choose(request)
    elif rule is not None:
        context |= {"found": _dry_run(request, rule, lead, deal)}
    return render(request, "capi/dry_run/dry_run.html", context)


def _rule(
    request: MemberRequest, rules: list[ConversionRule], *, prefer_deal: bool
) -> ConversionRule | None:
    """The requested rule, or the first that fits."""
    if request.GET.get("rule"):
        rule: ConversionRule = own_or_404(
            ConversionRule.objects.all(), request, request.GET["rule"]
        )
        return rule
    matching = [each for each in rules if each.is_about_deal == prefer_deal]
    return next(iter(matching or rules), None)


def _dry_run(
    request: MemberRequest, rule: ConversionRule, lead: Lead, deal: Deal | None
) -> DryRun:
    if rule.is_about_deal and deal is None:
        deal = (
            Deal.objects.for_company(request.membership.company)
            .filter(lead=lead)
            .order_by("-pk")
            .first()
        )
    return run_dry(rule, lead, deal, connection_status(request).connection)


def _leads_to_choose(request: MemberRequest) -> dict[str, Any]:
    form = SearchForm(request.POST or None)
    text = form.cleaned_data["search"] if form.is_valid() else ""
    leads = Lead.objects.for_company(request.membership.company).current().search(text)
    return {"search": text, "leads": leads.order_by("-pk")[:LEADS_OFFERED]}


@sensitive_post_parameters("address")
@member(Action.SEE_EVENT_LOG)
def check_hash(request: MemberRequest) -> HttpResponse:
    """The hash of a posted address. Nothing is stored."""
    form = HashForm(request.POST or None)
    context: dict[str, Any] = {
        "form": form,
        "vectors": [(row, email_sha256(row.address)) for row in PUBLISHED],
    }
    if form.is_valid():
        address = form.cleaned_data["address"]
        problem = why_no_hash(address)
        context |= {
            "is_answered": True,
            "normalised": normalise_email(address),
            "sha256": email_sha256(address),
            "nothing": NO_HASH[problem] if problem else None,
        }
    return render(request, "capi/dry_run/check_hash.html", context)
