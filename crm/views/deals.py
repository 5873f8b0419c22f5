"""Deals: the list, and viewing, editing and deleting a deal."""

from functools import partial
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from crm.accounts.decorators import MemberRequest, checked_again, member, own_or_404
from crm.forms.deals import DealForm
from crm.forms.filters import SearchForm
from crm.lists.deals import DEALS
from crm.models import Deal, FieldSubject, Lead, Stage
from crm.models.roles import Action
from crm.selectors import timeline
from crm.selectors.attachments import files_on
from crm.selectors.custom_fields import fields_in_use, shown_values
from crm.selectors.deal_people import people_of
from crm.selectors.pipelines import by_pipeline, choice_of, first_open_stages
from crm.selectors.saved_views import tabs_of
from crm.selectors.tags import tag_choices
from crm.selectors.tasks import open_tasks_of
from crm.selectors.timeline import outcomes_of_deals
from crm.services.editing import delete
from crm.services.erasure import locking_person
from crm.views.editing import (
    add_once,
    edit_page,
    form_key,
    saved_unless_changed,
    tell_dropped,
    was_submitted,
)
from crm.views.filtering import (
    SORT,
    VIEW,
    columns_context,
    filtered_list,
    kept_in,
    list_context,
    shown_in,
    to_filtered_list,
)
from crm.views.notes import new_note
from crm.views.shell import with_outcomes

LEADS_OFFERED = 20
EDITED_WITH = ("lead__company", "stage")
UNFOLDING_FILTERS = (
    "tag",
    "meaning",
    "lost_reason",
    "close_from",
    "close_until",
    "dated",
    "currency",
    "lead_source",
    "lead_has_source",
    "lead_owner",
    "lead_created_from",
    "lead_created_until",
)


@member(Action.SEE_LEADS)
def deal_list(request: MemberRequest) -> HttpResponse:
    """All deals, filtered and sorted by the URL. The filter form is posted here and redirects to such a URL."""
    if request.method == "POST":
        return to_filtered_list(request, DEALS)
    company, sort = request.membership.company, request.GET.get(SORT, "")
    after, before = request.GET.get("after", ""), request.GET.get("before", "")
    filtered = filtered_list(request, DEALS)
    page = DEALS.page_of(filtered.qs, company, sort, after=after, before=before)
    shown = shown_in(request, filtered)
    views = tabs_of(request.membership, DEALS, shown, request.GET.get(VIEW, ""))
    options = by_pipeline(Stage.objects.for_company(company).offered().in_order())
    rows = with_outcomes(page, outcomes_of_deals, request)
    columns = columns_context(request, filtered, views, sort)
    context = {
        **list_context(
            request, filtered, unfolding=UNFOLDING_FILTERS, kept=kept_in(sort, views)
        ),
        "views": views,
        "shown": urlencode(shown),
        "page": page,
        "rows": [
            (
                deal,
                note,
                options.get(deal.stage.pipeline_id, []),
                [(column, column.read(deal)) for column in columns["shown_columns"]],
            )
            for deal, note in rows
        ],
        **columns,
    }
    return render(request, "crm/deals/list.html", context)


def choose_lead(request: MemberRequest) -> HttpResponse:
    """Search for the lead of a new deal, because there may be too many leads for a list."""
    form = SearchForm(request.POST or None)
    text = form.cleaned_data["search"] if form.is_valid() else ""
    leads = Lead.objects.for_company(request.membership.company).current().search(text)
    return render(
        request,
        "crm/deals/choose_lead.html",
        {"form": form, "search": text, "leads": leads[:LEADS_OFFERED]},
    )


@require_safe
@member(Action.SEE_LEADS)
def deal(request: MemberRequest, pk: int) -> HttpResponse:
    """The deal's page: its fields, its people and its timeline."""
    instance = own_or_404(
        Deal.objects.select_related("stage", "owner", "lead", "lost_reason"),
        request,
        pk,
    )
    company = request.membership.company
    stages = Stage.objects.for_company(company).offered(instance.stage_id).in_order()
    choice = choice_of(stages, str(instance.stage.pipeline_id))
    context = {
        "deal": instance,
        "people": people_of(instance),
        "tasks": open_tasks_of(instance),
        "files": files_on(instance, request.membership),
        "timeline": timeline.of_deal(
            instance, request.membership, before=request.GET.get("before", "")
        ),
        "stages": choice.stages,
        "pipeline": choice.chosen if len(choice.pipelines) > 1 else None,
        # A closed deal has to be reopened in its own pipeline first: moved to another, it would be won or lost again.
        "other_pipelines": first_open_stages(stages, besides=choice.chosen)
        if instance.stage.is_open
        else [],
        "custom": shown_values(
            fields_in_use(company, FieldSubject.DEAL), instance.custom, company
        ),
        **tag_choices(instance),
        **new_note(request, "deal_note", instance),
    }
    return render(request, "crm/deals/detail.html", context)


@member(Action.EDIT_LEADS)
@checked_again
def deal_new(request: MemberRequest) -> HttpResponse:
    """A new deal for the lead in `?lead=`; without one, the search for a lead."""
    if not request.GET.get("lead"):
        return choose_lead(request)
    lead = own_or_404(
        Lead.objects.current().select_related("company"), request, request.GET["lead"]
    )
    form = DealForm(request.POST or None, lead=lead, initial={"owner": request.user})
    # Invalid by now, if the lists have changed.
    if form.is_valid() or was_submitted(request):
        tell_dropped(request, form)
        return add_once(request, "deal", partial(_save, form))
    context = {
        "form": form,
        "form_key": form_key(request),
        "lead": lead,
        "cancel_url": lead.get_absolute_url(),
    }
    return render(request, "crm/deals/form.html", context)


@member(Action.EDIT_LEADS)
@checked_again
def deal_edit(request: MemberRequest, pk: int) -> HttpResponse:
    instance = own_or_404(
        Deal.objects.filter(lead__erased_at=None).select_related(*EDITED_WITH),
        request,
        pk,
    )
    # Read first, because even an invalid form changes the instance.
    title = str(instance)
    form = DealForm(request.POST or None, instance=instance, lead=instance.lead)
    if form.is_valid() and saved_unless_changed(request, form):
        return redirect(instance)
    context = {
        "form": form,
        "lead": instance.lead,
        "title": title,
        "cancel_url": instance.get_absolute_url(),
    }
    return edit_page(request, "crm/deals/form.html", context, instance)


def _save(form: DealForm) -> Deal:
    with locking_person(form.instance.lead_id):
        saved: Deal = form.save()
    return saved


@member(Action.DELETE_LEADS)
def deal_delete(request: MemberRequest, pk: int) -> HttpResponse:
    """Ask for confirmation, then delete the deal. Its lead stays."""
    instance = own_or_404(Deal.objects.select_related("lead"), request, pk)
    if request.method == "POST":
        delete(row=instance)
        messages.success(request, f"{instance} was deleted.")
        return redirect(instance.lead)
    return render(request, "crm/deals/delete.html", {"deal": instance})
