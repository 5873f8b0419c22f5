"""Moving a deal to another stage; why it is lost is asked first."""

from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST
from django_htmx.http import reselect, reswap, retarget

from crm.accounts.decorators import MemberRequest, checked_again, member, own_or_404
from crm.forms.deal_outcomes import LossForm
from crm.models import Deal, LostReason, Stage, StageMeaning
from crm.models.roles import Action
from crm.services.editing import ChangedMeanwhile, move_deal
from crm.views.leads import archived_since
from crm.views.shell import back_to, whole_page
from crm.views.undo import tell

MOVED_MEANWHILE: Final = (
    "Nothing was saved: this deal has been moved to {stage} meanwhile{why}. Your answer is below. Move it again to "
    "replace that, or cancel to keep it."
)


@require_POST
@member(Action.EDIT_LEADS)
@checked_again
def deal_move(request: MemberRequest, pk: int) -> HttpResponse:
    """Move the deal to another stage, from the board, a list or its page. On Lost, go on to the page that asks why."""
    deal, stage = _deal_and_stage(request, pk)
    back = back_to(request, default=reverse("deals"))
    if archived_since(request, stage, deal.stage_id):
        return redirect(back)
    if _is_to_say_why(deal, stage):
        query = urlencode({"stage": stage.pk, "next": back})
        return whole_page(request, f"{reverse('deal_lost', args=[deal.pk])}?{query}")
    move_deal(deal=deal, stage=stage)
    tell(request, f"{deal} is now in {stage}.")
    return redirect(back)


@member(Action.EDIT_LEADS)
@checked_again
def deal_lost(request: MemberRequest, pk: int) -> HttpResponseBase:
    """Ask why the deal is lost, then move it to the lost stage in `?stage=`, with the reason, in one save.

    An answer never overwrites someone else's, or a win, unless the page has shown that outcome first.
    """
    # As after signing in again, which leads back here.
    if request.method != "POST" and "stage" not in request.GET:
        return redirect(own_or_404(Deal.objects.all(), request, pk))
    deal, stage = _deal_and_stage(request, pk)
    back = back_to(request, default=reverse("deals"))
    is_archived = archived_since(request, stage, deal.stage_id)
    if stage.meaning != StageMeaning.LOST:
        return redirect(back)
    form = LossForm(
        request.POST or None,
        deal=deal,
        is_reason_required=request.membership.company.requires_lost_reason,
    )
    if request.method == "POST":
        # An answer for an archived stage can't be saved, but it stays on the page, to be copied.
        if not is_archived and _save_answer(request, form, stage):
            return redirect(back)
    elif is_archived or not _is_to_say_why(deal, stage):
        return redirect(back)
    context = {
        "deal": deal,
        "stage": stage,
        "form": form,
        "back": back,
    }
    return _question(request, context)


def _question(request: MemberRequest, context: dict[str, Any]) -> HttpResponse:
    """The question as a page. htmx puts its form into a dialog (quick_select.js)."""
    page = render(request, "crm/deals/lost.html", context)
    if request.htmx:
        page = retarget(page, "#question-body")
        return reswap(reselect(page, "#loss"), "innerHTML")
    if context["form"].non_field_errors():
        page.status_code = HTTPStatus.CONFLICT
    return page


def _save_answer(request: MemberRequest, form: LossForm, stage: Stage) -> bool:
    """Lose the deal with the answer. Returns False, with an error in the form, if that fails."""
    return form.is_valid() and _lose(request, form, stage, form.cleaned_data)


def _lose(
    request: MemberRequest, form: LossForm, stage: Stage, answer: dict[str, Any]
) -> bool:
    """Lose the deal. If its outcome has changed since the page was opened, add an error and return False."""
    deal = form.deal
    try:
        move_deal(deal=deal, stage=stage, seen=request.POST.get("seen", ""), **answer)
    except ChangedMeanwhile:
        is_same = all(getattr(deal, name) == value for name, value in answer.items())
        if is_same and deal.stage_id == stage.pk:
            # The form was submitted twice.
            messages.info(request, f"{deal} is in {stage} already.")
            return True
        why = f", with the reason “{deal.lost_reason}”" if deal.lost_reason else ""
        form.add_error(None, MOVED_MEANWHILE.format(stage=deal.stage, why=why))
        return False
    tell(request, f"{deal} is now in {stage}.")
    for sentence in form.dropped:
        messages.warning(request, sentence)
    return True


def _deal_and_stage(request: MemberRequest, pk: int) -> tuple[Deal, Stage]:
    """The deal, and the stage in the form or the URL. Raises Http404 if one of them isn't the company's."""
    deal = own_or_404(Deal.objects.select_related("stage", "lead"), request, pk)
    wanted = request.POST.get("stage", request.GET.get("stage"))
    return deal, own_or_404(Stage.objects.select_related("pipeline"), request, wanted)


def _is_to_say_why(deal: Deal, stage: Stage) -> bool:
    """True if the move loses the deal and the company has a list of lost reasons."""
    if stage.meaning != StageMeaning.LOST or deal.stage.meaning == StageMeaning.LOST:
        return False
    return LostReason.objects.for_company(deal.company_id).offered().exists()
