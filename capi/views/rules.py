"""Steps 2 and 3: the rules, and testing them."""

from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers
from django_htmx.http import reswap, retarget

from capi import services
from capi.forms.rules import RuleForm
from capi.models import ConversionEvent, ConversionRule
from capi.models.choices import CrmEventName, State
from capi.selectors.backfills import sendable_lately
from capi.selectors.connection import connection_status
from capi.selectors.explained_events import explained
from capi.selectors.play_progress import play_progress
from capi.selectors.rule_duplicates import RuleGroups, earlier_rules
from capi.selectors.rule_health import firing_of, health_of
from capi.views.connection import setup_context
from crm.accounts.decorators import MemberRequest, member
from crm.models.roles import Action
from crm.services import rate_limits

RULES_ANCHOR: Final = "#map"


@require_safe
@member(Action.SEE_CONNECTION)
def detail(request: MemberRequest, pk: int) -> HttpResponse:
    """One rule and its health."""
    rule = _own_rule(request, pk)
    return render(
        request,
        "capi/rules/detail.html",
        {
            "rule": rule,
            "health": health_of(rule, connection_status(request).connection),
        },
    )


@vary_on_headers("HX-Request")
@member(Action.CHANGE_RULES)
def new(request: MemberRequest) -> HttpResponse:
    rule = ConversionRule(company=request.membership.company)
    response = _save_or_show(request, rule, "{} added. Press play to test it.")
    _offer_backfill(request, rule)
    return response


@vary_on_headers("HX-Request")
@member(Action.CHANGE_RULES)
def edit(request: MemberRequest, pk: int) -> HttpResponse:
    rule = _own_rule(request, pk)
    return _save_or_show(request, rule, "{} saved.", name=str(rule))


def _save_or_show(
    request: MemberRequest, rule: ConversionRule, sentence: str, name: str = ""
) -> HttpResponse:
    """Save the rule, or show the form. For htmx, show only the consequences of its choices."""
    is_draft, company = "preview" in request.POST, request.membership.company
    form = RuleForm(
        request.POST or None, instance=rule, company=company, is_draft=is_draft
    )
    if not is_draft and form.is_valid() and _save(form):
        messages.success(request, sentence.format(form.instance))
        return redirect("rule_new") if "add_another" in request.POST else _to_rules()
    consequences = _consequences(request, rule)
    if request.htmx:
        return render(request, "capi/rules/_consequences.html", consequences)
    return render(
        request, "capi/rules/form.html", {"form": form, "name": name, **consequences}
    )


def _save(form: RuleForm) -> bool:
    """Returns False, with an error on the form, if someone else has just saved the same rule or deleted this one."""
    try:
        services.save_rule(rule=form.instance, fields=form.changed_data)
    except ValidationError as error:
        form.add_error(None, error)
        return False
    return True


def _consequences(request: MemberRequest, rule: ConversionRule) -> dict[str, Any]:
    """How often the rule would have fired with the chosen settings, and which rules it repeats."""
    data, company = request.POST or request.GET, request.membership.company
    chosen = data.get("crm_event", "")
    event = rule.crm_event or (chosen if chosen in CrmEventName.values else "")
    typed = ConversionRule(pk=rule.pk, company=company, crm_event=event)
    typed.linkedin_id = RuleForm.bare_id(data.get("linkedin_id", rule.linkedin_id))
    typed.name = data.get("name", rule.name).strip()
    firing = firing_of(
        company,
        crm_event=event,
        frequency=data.get("frequency", rule.frequency),
        linkedin_type=rule.linkedin_type,
    )
    groups = RuleGroups(ConversionRule.objects.for_company(company))
    return {
        "firing": firing,
        "warnings": [*groups.warnings(typed), *earlier_rules([typed])],
    }


def _offer_backfill(request: MemberRequest, rule: ConversionRule) -> None:
    """Add a message with the number of past events that an active rule could send, and a link to the backfill."""
    if not (rule.pk and rule.is_active and request.membership.may(Action.BACKFILL)):
        return
    if count := sendable_lately(rule):
        address = reverse("backfill_plan", query={"rule": rule.pk, "period": 30})
        happened = f"{count:,} such event{' has' if count == 1 else 's have'} happened in the last 30 days."
        messages.info(
            request,
            format_html(
                '{} <a href="{}">Send earlier events too?</a>', happened, address
            ),
        )


@require_POST
@member(Action.CHANGE_RULES)
def set_active(request: MemberRequest, pk: int) -> HttpResponse:
    """Switch a rule on (`active=1`) or off."""
    rule, active = _own_rule(request, pk), request.POST.get("active") == "1"
    try:
        services.set_rule_active(rule=rule, active=active)
        messages.success(request, f"{rule} is now {'on' if active else 'off'}.")
        _offer_backfill(request, rule)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return _to_rules()


@require_POST
@member(Action.CHANGE_RULES)
def resume(request: MemberRequest, pk: int) -> HttpResponse:
    """Resume a rule that LinkedIn's response paused."""
    rule = _own_rule(request, pk)
    services.resume_rule(rule=rule)
    messages.success(
        request,
        f"{rule} resumed. If LinkedIn gives the same answer again, it pauses again.",
    )
    return _to_rules()


@member(Action.CHANGE_RULES)
def delete(request: MemberRequest, pk: int) -> HttpResponse:
    """Confirm, then delete the rule. Its events stay in the log."""
    rule = _own_rule(request, pk)
    if request.method == "POST":
        services.delete_rule(rule=rule)
        messages.success(request, f"{rule} deleted. Its events stay in Recent Events.")
        return _to_rules()
    return render(request, "capi/rules/delete.html", {"rule": rule})


@require_POST
@member(Action.TEST_RULES)
def send_test(request: MemberRequest, pk: int) -> HttpResponse:
    """Send a test event. The returned fragment polls until the test has ended."""
    rule = _own_rule(request, pk)
    try:
        rate_limits.check(
            "test-events",
            company_id=rule.company_id,
            at_most=settings.TEST_EVENTS_PER_MINUTE,
        )
        event = services.send_test_event(rule=rule, user=request.user)
    except (
        services.NotConnected,
        services.SendingPaused,
        rate_limits.TooOften,
    ) as error:
        if request.htmx:
            return render(
                request, "capi/rules/_play_progress.html", {"problem": str(error)}
            )
        messages.error(request, str(error))
        return _to_rules()
    return _test_part(request, event) if request.htmx else redirect(event)


@require_safe
@member(Action.TEST_RULES)
def test_result(request: MemberRequest, pk: int) -> HttpResponse:
    """The progress of a test event. 204 if it is `shown` already, so screen readers don't repeat it."""
    tests = ConversionEvent.objects.for_company(request.membership.company_id).filter(
        is_test=True
    )
    event = get_object_or_404(tests.select_related("rule", "last_attempt"), pk=pk)
    if request.htmx:
        return _test_part(request, event, shown=request.GET.get("shown", ""))
    return redirect(event)


def _test_part(
    request: MemberRequest, event: ConversionEvent, *, shown: str = ""
) -> HttpResponse:
    connection = connection_status(request).connection
    if event.state == State.PENDING:
        progress = play_progress(event, connection)
        if progress.key == shown:
            return HttpResponse(status=204)
        return render(
            request,
            "capi/rules/_play_progress.html",
            {"event": event, "progress": progress},
        )
    context = {
        **setup_context(request),
        "tested": explained(event, connection),
        "again": True,
    }
    return retarget(
        reswap(render(request, "capi/rules/_test_ended.html", context), "outerHTML"),
        RULES_ANCHOR,
    )


def _own_rule(request: MemberRequest, pk: int) -> ConversionRule:
    rule: ConversionRule = get_object_or_404(
        ConversionRule.objects.for_company(request.membership.company), pk=pk
    )
    return rule


def _to_rules() -> HttpResponse:
    return redirect(reverse("linkedin") + RULES_ANCHOR)
