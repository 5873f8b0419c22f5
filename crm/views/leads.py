"""Leads: the list, and viewing, editing, erasing and deleting a lead."""

from collections.abc import Sequence
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from crm.accounts.decorators import MemberRequest, checked_again, member, own_or_404
from crm.forms.leads import ErasureForm, LeadForm
from crm.lists.leads import LEADS
from crm.models import FieldSubject, Lead, LeadStatus, LeadType
from crm.models.lead import LeadQuerySet
from crm.models.lead_duplicate import Likeness, likely_duplicates
from crm.models.picklist import PicklistEntry
from crm.models.roles import Action
from crm.models.validators import is_number
from crm.search.conditions import has_short_word
from crm.selectors import timeline
from crm.selectors.attachments import files_on
from crm.selectors.custom_fields import fields_in_use, shown_values
from crm.selectors.deal_people import deals_that_may_name, further_deals_of
from crm.selectors.erasure import namesakes_of
from crm.selectors.lead_merges import undoable_merge
from crm.selectors.saved_views import tabs_of
from crm.selectors.tags import tag_choices
from crm.selectors.tasks import open_tasks_of
from crm.selectors.timeline import outcomes_of_leads
from crm.services.editing import change_status, delete
from crm.services.erasure import erase_leads
from crm.views.editing import (
    add_once,
    edit_page,
    form_key,
    saved_unless_changed,
    tell_dropped,
    was_submitted,
)
from crm.views.filtering import (
    PLACE,
    SORT,
    VIEW,
    columns_context,
    filtered_list,
    kept_in,
    list_context,
    query_without,
    shown_in,
    to_filtered_list,
)
from crm.views.notes import new_note
from crm.views.shell import back_to, with_outcomes
from crm.views.undo import tell

UNFOLDING_FILTERS = (
    "tag",
    "type",
    "reached",
    "has_source",
    "has_email",
    "address_problem",
    "shared",
    "created_from",
    "created_until",
    "updated_from",
    "updated_until",
)
DUPLICATES_SHOWN = 5
ADD_ANYWAY = "add_anyway"
USE_ADDRESS = "use_address"


@member(Action.SEE_LEADS)
def leads(request: MemberRequest) -> HttpResponse:
    """The leads, filtered and sorted by the URL. The filter form is posted here and redirects to such a URL."""
    if request.method == "POST":
        return to_filtered_list(request, LEADS)
    company, sort = request.membership.company, request.GET.get(SORT, "")
    after, before = request.GET.get("after", ""), request.GET.get("before", "")
    filtered = filtered_list(request, LEADS)
    page = LEADS.page_of(filtered.qs, company, sort, after=after, before=before)
    shown = shown_in(request, filtered)
    views = tabs_of(request.membership, LEADS, shown, request.GET.get(VIEW, ""))
    columns = columns_context(request, filtered, views, sort)
    return render(
        request,
        "crm/leads/list.html",
        {
            "page": page,
            "rows": [
                (
                    lead,
                    note,
                    [
                        (column, column.read(lead))
                        for column in columns["shown_columns"]
                    ],
                )
                for lead, note in with_outcomes(page, outcomes_of_leads, request)
            ],
            **list_context(
                request,
                filtered,
                unfolding=UNFOLDING_FILTERS,
                kept=kept_in(sort, views),
            ),
            "has_short_word": has_short_word(filtered.search),
            **columns,
            "views": views,
            "shown": urlencode(shown),
            "matching": query_without(request, (*PLACE, VIEW)),
            "statuses": [
                each for each in filtered.rows_of("status") if each.is_offered
            ],
            "tags": [each for each in filtered.rows_of("tag") if each.is_offered],
            "people": filtered.rows_of("owner"),
        },
    )


def selected_keys(values: QueryDict) -> list[str]:
    """The keys of the selected leads, in the form or the URL."""
    return [pk for pk in values.getlist("lead") if is_number(pk)]


def archived_since(request: MemberRequest, step: PicklistEntry, current: int) -> bool:
    """True, with a message for the next page, if the chosen status or stage is no longer offered.

    The `current` one, by its key, can always be chosen.
    """
    if step.is_offered or step.pk == current:
        return False
    messages.error(
        request,
        f"Nothing was changed: {step} was archived. Choose another {step._meta.verbose_name}.",
    )
    return True


@require_safe
@member(Action.SEE_LEADS)
def lead(request: MemberRequest, pk: int) -> HttpResponse:
    """The lead's page: its fields, deals and timeline. A lead that was merged redirects to the one that was kept."""
    instance = own_or_404(Lead.objects.select_related("status", "owner"), request, pk)
    if instance.merged_into_id is not None:
        return redirect("lead", instance.merged_into_id)
    company = request.membership.company
    return render(
        request,
        "crm/leads/detail.html",
        {
            "lead": instance,
            "deals": instance.deals.select_related("stage"),
            "further_deals": further_deals_of(instance),
            "tasks": open_tasks_of(instance),
            "files": files_on(instance, request.membership),
            "timeline": timeline.of_lead(
                instance, request.membership, before=request.GET.get("before", "")
            ),
            "merge": undoable_merge(instance),
            "statuses": LeadStatus.objects.for_company(company).offered(),
            "type": LeadType.objects.for_company(company)
            .filter(code=instance.type)
            .first(),
            "custom": shown_values(
                fields_in_use(company, FieldSubject.LEAD), instance.custom, company
            ),
            **tag_choices(instance),
            **new_note(request, "lead_note", instance),
        },
    )


@member(Action.EDIT_LEADS)
@checked_again
def lead_new(request: MemberRequest) -> HttpResponse:
    """Add a lead. If its address has a likely typo, or there seems to be a lead of the same person, ask first."""
    company = request.membership.company
    form = LeadForm(
        _with_chosen_address(request), company=company, initial={"owner": request.user}
    )
    duplicates: Sequence[Likeness] = []
    meant = ""
    if form.is_valid():
        if ADD_ANYWAY not in request.POST:
            duplicates = likely_duplicates(form.instance)[:DUPLICATES_SHOWN]
            meant = form.instance.meant_address
        # Checked after the duplicates: the lead that the first of two clicks added is no duplicate for the second.
        if not (duplicates or meant) or was_submitted(request):
            tell_dropped(request, form)
            return add_once(request, "lead", form.save)
    elif was_submitted(request):  # invalid by now, because the lists have changed
        return add_once(request, "lead", form.save)
    context = {
        "form": form,
        "form_key": form_key(request),
        "duplicates": duplicates,
        "meant": meant,
        "cancel_url": reverse("leads"),
    }
    return render(request, "crm/leads/form.html", context)


def _with_chosen_address(request: MemberRequest) -> QueryDict | None:
    """What was entered, with the suggested address if the person chose it. None before the form is submitted."""
    chosen = request.POST.get(USE_ADDRESS)
    if chosen is None:
        return request.POST or None
    entered = request.POST.copy()
    entered["email"] = chosen
    return entered


@member(Action.EDIT_LEADS)
@checked_again
def lead_edit(request: MemberRequest, pk: int) -> HttpResponse:
    instance = own_or_404(Lead.objects.current(), request, pk)
    # Read first, because even an invalid form changes the instance.
    name = str(instance)
    form = LeadForm(
        request.POST or None, instance=instance, company=request.membership.company
    )
    if form.is_valid() and saved_unless_changed(request, form):
        return redirect(instance)
    context = {
        "form": form,
        "lead": instance,
        "name": name,
        "cancel_url": instance.get_absolute_url(),
    }
    return edit_page(request, "crm/leads/form.html", context, instance)


@member(Action.DELETE_LEADS)
def lead_erase(request: MemberRequest, pk: int) -> HttpResponse:
    """Ask for the person's name, then erase the person. Only an empty row is left."""
    instance = own_or_404(Lead.objects.current(), request, pk)
    form = ErasureForm(
        request.POST or None, lead=instance, namesakes=namesakes_of(instance)
    )
    if form.is_valid():
        receipts = erase_leads(leads=form.chosen, actor=request.user)
        erased = {receipt.object_id for receipt in receipts}
        others = sorted(map(str, erased - {instance.pk}))
        were = f"Lead {instance.pk} was"
        if others:
            were = f"Leads {', '.join(others)} and {instance.pk} were"
        messages.success(
            request,
            f"{were} erased. The audit log keeps a receipt with each lead's number.",
        )
        return redirect(instance)
    context = {
        "lead": instance,
        "merged": _merged_into(instance),
        "deals_of_others": deals_that_may_name(instance),
        "form": form,
    }
    return render(request, "crm/leads/erase.html", context)


@require_POST
@member(Action.EDIT_LEADS)
@checked_again
def lead_status(request: MemberRequest, pk: int) -> HttpResponse:
    """Change the status, from the list or the lead's page."""
    instance = own_or_404(Lead.objects.current(), request, pk)
    status = own_or_404(LeadStatus.objects.all(), request, request.POST.get("status"))
    if not archived_since(request, status, instance.status_id):
        change_status(leads=Lead.objects.filter(pk=instance.pk), status=status)
        tell(request, f"{instance} is now {status}.")
    return redirect(back_to(request, default=instance.get_absolute_url()))


@member(Action.DELETE_LEADS)
def lead_delete(request: MemberRequest, pk: int) -> HttpResponse:
    """Ask for confirmation, then delete the lead with its deals."""
    instance = own_or_404(Lead.objects.filter(merged_into=None), request, pk)
    if request.method == "POST":
        name = str(instance)
        delete(row=instance)
        messages.success(request, f"{name} was deleted.")
        return redirect("leads")
    context = {
        "lead": instance,
        "merged": _merged_into(instance),
        "deal_count": instance.deals.count(),
    }
    return render(request, "crm/leads/delete.html", context)


def _merged_into(lead: Lead) -> LeadQuerySet:
    return (
        Lead.objects.for_company(lead.company_id)
        .filter(merged_into=lead)
        .order_by("pk")
    )
