"""Merging two leads, and undoing it."""

from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from crm.accounts.decorators import MemberRequest, checked_again, member, own_or_404
from crm.forms.lead_merges import MergeForm
from crm.models import Lead, LeadMerge
from crm.models.roles import Action
from crm.selectors.lead_merges import preview_of
from crm.services.editing import ChangedMeanwhile
from crm.services.lead_merges import (
    MergeRefused,
    merge_leads,
    refuse_what_is_no_more,
    version_of_both,
)
from crm.services.merge_undo import UNDONE_BEFORE, SeparatedLeads, undo_merge
from crm.views.editing import VERSION
from crm.views.leads import selected_keys
from crm.views.shell import back_to, whole_page

KEPT = "kept"
TWO = "Select two leads that are the same person, then press “Merge”."
OPTED_OUT_SINCE = "Neither lead is shared with ad platforms: the person has opted out since the merge."
CHANGED = "Nothing has been merged yet: one of the leads has been changed since. Check the choices again."


@require_http_methods(["GET", "HEAD", "POST"])
@member(Action.EDIT_LEADS)
@checked_again
def lead_merge(request: MemberRequest) -> HttpResponse:
    """Choose the values of the merged lead, then merge. The bulk bar of the list posts only the two leads' ids."""
    values = request.POST if request.method == "POST" else request.GET
    keys, back = (
        sorted(set(selected_keys(values))),
        back_to(request, default=reverse("leads")),
    )
    if len(keys) != 2:
        messages.warning(request, TWO)
        return redirect(back)
    asked = (
        f"{reverse('lead_merge')}?{urlencode({'lead': keys, 'next': back}, doseq=True)}"
    )
    if request.method == "POST" and KEPT not in values:
        return whole_page(request, asked)
    kept, gone = _pair(request, keys, values.get(KEPT, ""))
    try:
        refuse_what_is_no_more(kept, gone)
        if request.method == "POST":
            return _merged(request, kept, gone)
    except MergeRefused as refused:
        messages.error(request, str(refused))
        return redirect(back)
    except ChangedMeanwhile:
        messages.warning(request, CHANGED)
        return redirect(f"{asked}&{urlencode({KEPT: kept.pk})}")
    context = {
        "preview": preview_of(kept, gone),
        "back": back,
        "asked": asked,
        VERSION: version_of_both(kept, gone),
    }
    return render(request, "crm/lead_merges/merge.html", context)


def _pair(request: MemberRequest, keys: list[str], kept: str) -> tuple[Lead, Lead]:
    """The lead to keep, the older one unless `kept` is the id of the other, and the lead to merge into it."""
    own = Lead.objects.for_company(request.membership.company).select_related(
        "company", "status", "owner"
    )
    leads = list(own.filter(pk__in=keys).order_by("created_at", "pk"))
    if len(leads) != 2:
        raise Http404
    first, second = leads
    return (second, first) if kept == str(second.pk) else (first, second)


def _merged(request: MemberRequest, kept: Lead, gone: Lead) -> HttpResponse:
    form = MergeForm(request.POST, preview=preview_of(kept, gone))
    if not form.is_valid():
        raise ChangedMeanwhile
    merge_leads(
        kept=kept, gone=gone, taken=form.taken, version=request.POST.get(VERSION, "")
    )
    kept.refresh_from_db()
    messages.success(
        request, f"{gone} was merged into {kept}. You can undo it for 24 hours."
    )
    return redirect(kept)


@require_POST
@member(Action.EDIT_LEADS)
@checked_again
def lead_merge_undo(request: MemberRequest, pk: int) -> HttpResponse:
    """Separate this lead from the one that it was merged into, and report what could not be restored."""
    lead = own_or_404(Lead.objects.all(), request, pk)
    merge = LeadMerge.objects.select_related("kept", "gone").filter(gone=lead).first()
    try:
        if merge is None:
            raise MergeRefused(UNDONE_BEFORE)
        _tell(request, undo_merge(merge=merge))
    except MergeRefused as refused:
        messages.warning(request, str(refused))
    return redirect(lead)


def _tell(request: MemberRequest, separated: SeparatedLeads) -> None:
    messages.success(
        request, f"Undone: {separated.gone} and {separated.kept} are two leads again."
    )
    if separated.changed_since:
        left = ", ".join(separated.changed_since)
        messages.warning(
            request, f"Changed since the merge, and left as it is now: {left}."
        )
    if separated.opted_out_since:
        messages.warning(request, OPTED_OUT_SINCE)
