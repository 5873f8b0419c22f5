"""Backfills: the plan, start, progress, pause, resume and cancel."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from capi.forms.backfills import BackfillForm
from capi.models import Backfill
from capi.selectors.backfills import explained_backfill, preview_of
from capi.selectors.connection import connection_status
from capi.selectors.explanations.backfills import NO_ACTIVE_RULE, warnings
from capi.selectors.rule_duplicates import earlier_rules
from capi.services import backfills
from crm.accounts.decorators import MemberRequest, member
from crm.models.roles import Action

PER_PAGE = 25


@require_safe
@member(Action.BACKFILL)
def overview(request: MemberRequest) -> HttpResponse:
    return _overview(request, BackfillForm(company=request.membership.company))


@member(Action.BACKFILL)
def plan(request: MemberRequest) -> HttpResponse:
    """Preview what would happen to the past events. A POST starts the backfills."""
    is_start = request.method == "POST"
    form = BackfillForm(
        request.POST if is_start else request.GET, company=request.membership.company
    )
    if not form.is_valid():
        return _overview(request, form)
    return _start(request, form) if is_start else _plan(request, form)


def _plan(request: MemberRequest, form: BackfillForm) -> HttpResponse:
    since, until = form.span()
    plans = preview_of(form.rules(), since=since, until=until)
    context = {
        "form": form,
        "since": since,
        "until": until,
        "plans": plans,
        "sendable": sum(plan.sendable for plan in plans),
        "no_rule": NO_ACTIVE_RULE,
        "warnings": [
            *warnings(plan.rule for plan in plans),
            *earlier_rules(plan.rule for plan in plans),
        ],
    }
    return render(request, "capi/backfills/plan.html", context)


def _start(request: MemberRequest, form: BackfillForm) -> HttpResponse:
    since, until = form.span()
    started, refused = backfills.start_all(
        rules=form.rules(), since=since, until=until, user=request.user
    )
    for sentence in refused:
        messages.info(request, sentence)
    if started:
        messages.success(request, "Started. New events still go first.")
    return redirect(started[0]) if len(started) == 1 else redirect("backfills")


@require_safe
@vary_on_headers("HX-Request")
@member(Action.BACKFILL)
def detail(request: MemberRequest, pk: int) -> HttpResponse:
    """One backfill. For htmx, only the part that polls for progress."""
    row = explained_backfill(_own(request, pk), connection_status(request).connection)
    return render(
        request,
        "capi/backfills/_detail.html" if request.htmx else "capi/backfills/detail.html",
        {"row": row},
    )


@require_POST
@member(Action.BACKFILL)
def pause(request: MemberRequest, pk: int) -> HttpResponse:
    backfill = _own(request, pk)
    if backfills.pause(backfill=backfill, user=request.user):
        messages.success(request, "Paused. Events already queued are still sent.")
    return redirect(backfill)


@require_POST
@member(Action.BACKFILL)
def resume(request: MemberRequest, pk: int) -> HttpResponse:
    backfill = _own(request, pk)
    if backfills.resume(backfill=backfill, user=request.user):
        messages.success(request, "Resumed.")
    return redirect(backfill)


@member(Action.BACKFILL)
def cancel(request: MemberRequest, pk: int) -> HttpResponse:
    """Confirm, then end it for good."""
    backfill = _own(request, pk)
    if request.method != "POST":
        return render(request, "capi/backfills/cancel.html", {"backfill": backfill})
    ended = backfills.cancel(backfill=backfill, user=request.user)
    if ended is not None:
        messages.success(
            request,
            f"Cancelled, including {ended:,} unsent event{'' if ended == 1 else 's'}.",
        )
    return redirect(backfill)


def _overview(request: MemberRequest, form: BackfillForm) -> HttpResponse:
    own = Backfill.objects.for_company(request.membership.company).select_related(
        "rule", "made_by"
    )
    page = Paginator(own, PER_PAGE).get_page(request.GET.get("page"))
    connection = connection_status(request).connection
    rows = [explained_backfill(backfill, connection) for backfill in page]
    return render(
        request, "capi/backfills/list.html", {"form": form, "page": page, "rows": rows}
    )


def _own(request: MemberRequest, pk: int) -> Backfill:
    own = Backfill.objects.for_company(request.membership.company).select_related(
        "rule", "made_by"
    )
    backfill: Backfill = get_object_or_404(own, pk=pk)
    return backfill
