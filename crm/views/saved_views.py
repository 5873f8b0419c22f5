"""Saved views of lists, and the columns of these lists."""

from collections.abc import Collection

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from crm.accounts.decorators import MemberRequest, member, own_or_404
from crm.forms.changes import CHANGED_HERE
from crm.forms.saved_views import SavedViewForm, TableColumnsForm
from crm.lists.definition import List
from crm.lists.registry import LISTS
from crm.models import SavedView
from crm.models.roles import Action
from crm.selectors.saved_views import address_of
from crm.services.saved_views import (
    BROKEN,
    ViewRefused,
    change_columns,
    choose_columns,
    delete_view,
    query_of,
    save_view,
)
from crm.views.filtering import SORT, chosen_columns, filtered_list, list_address
from crm.views.shell import back_to


@member(Action.EDIT_LEADS)
def saved_view_new(request: MemberRequest, key: str) -> HttpResponse:
    """Save the filters and the sorting in the URL as a view of a list, with the member's columns."""
    listed, membership = _listed_or_404(key), request.membership
    try:
        query = shown_in(request, listed)
    except ViewRefused as refusal:
        return _refused(request, listed, refusal)
    view = SavedView(
        company=membership.company,
        owner=request.user,
        list=key,
        query=query,
        columns=" ".join(membership.columns_of(key)),
    )
    form = SavedViewForm(request.POST or None, instance=view, membership=membership)
    if form.is_valid() and _is_saved(form):
        return redirect(address_of(view))
    cancel_url = list_address(listed.page, view.query)
    context = {"form": form, "listed": listed, "cancel_url": cancel_url}
    return render(request, "crm/saved_views/form.html", context)


@member(Action.EDIT_LEADS)
def saved_view_edit(request: MemberRequest, pk: int) -> HttpResponse:
    """Rename or share a view."""
    view = _changeable(request, pk)
    form = SavedViewForm(
        request.POST or None, instance=view, membership=request.membership
    )
    if form.is_valid() and _is_saved(form, fields=form.changed_data):
        return redirect(address_of(view))
    context = {
        "form": form,
        "view": view,
        "listed": LISTS[view.list],
        "cancel_url": address_of(view),
    }
    return render(request, "crm/saved_views/form.html", context)


@require_POST
@member(Action.EDIT_LEADS)
def saved_view_update(request: MemberRequest, pk: int) -> HttpResponse:
    """Replace the filters and the sorting of a view by those in the URL."""
    view = _changeable(request, pk)
    listed = LISTS[view.list]
    try:
        view.query = shown_in(request, listed)
        save_view(view=view, fields=["query"])
    except ViewRefused as refusal:
        return _refused(request, listed, refusal)
    messages.success(request, f"{view} now has these filters.")
    return redirect(address_of(view))


@member(Action.EDIT_LEADS)
def saved_view_delete(request: MemberRequest, pk: int) -> HttpResponse:
    """Ask for confirmation, then delete the view."""
    view = _changeable(request, pk)
    listed = LISTS[view.list]
    if request.method == "POST":
        delete_view(view=view)
        messages.success(request, f"The view {view} was deleted.")
        return redirect(listed.page)
    context = {"view": view, "listed": listed, "cancel_url": address_of(view)}
    return render(request, "crm/saved_views/delete.html", context)


@require_POST
@member(Action.SEE_LEADS)
def list_columns(request: MemberRequest, key: str) -> HttpResponse:
    """Choose the columns of a list: those of the view in `?view=`, or else the member's own."""
    listed = _listed_or_404(key)
    view = (
        _changeable(request, request.GET["view"]) if request.GET.get("view") else None
    )
    if view is not None and view.list != key:
        raise Http404
    company = request.membership.company
    offered = listed.offered(company, listed.custom_fields(company))
    shown = chosen_columns(request, listed, view, offered)
    form = TableColumnsForm(request.POST, shown=shown, offered=offered)
    if form.non_field_errors():
        messages.error(request, CHANGED_HERE.format(what="the columns were"))
    elif not form.is_valid():
        messages.error(request, "Choose columns from the list. Nothing was changed.")
    elif view is not None:
        change_columns(view=view, columns=form.chosen)
    else:
        choose_columns(membership=request.membership, key=key, columns=form.chosen)
    return redirect(back_to(request, default=reverse(listed.page)))


def _listed_or_404(key: str) -> List:
    """The list with this key, which has views. Raises Http404."""
    listed = LISTS.get(key)
    if listed is None or not listed.has_views:
        raise Http404
    return listed


def _is_saved(form: SavedViewForm, fields: Collection[str] | None = None) -> bool:
    """Save the view, or these fields of it. False if that was refused; the form then says why."""
    try:
        save_view(view=form.instance, fields=fields)
    except ViewRefused as refusal:
        form.add_error("name", str(refusal))
        return False
    return True


def shown_in(request: MemberRequest, listed: List) -> str:
    """The filters and the sorting in the URL as a query string, without its other parameters.

    Raises ViewRefused if it is too long, or if a filter does not work: without it, the view would show more leads.
    """
    filtered = filtered_list(request, listed)
    if filtered.broken:
        raise ViewRefused(BROKEN)
    names = [name for name in filtered.form.fields if name not in filtered.text_names]
    kept = [(name, request.GET[name]) for name in names if request.GET.get(name)]
    sort = request.GET.get(SORT, "")
    return query_of(kept, sort if listed.is_sorted_by(sort) else "")


def _refused(
    request: MemberRequest, listed: List, refusal: ViewRefused
) -> HttpResponse:
    """Redirect to the list with these filters, and a message why they were not saved."""
    messages.error(request, str(refusal))
    return redirect(list_address(listed.page, request.GET.urlencode()))


def _changeable(request: MemberRequest, pk: int | str) -> SavedView:
    """The view, if this member may change it. Raises Http404."""
    view = own_or_404(SavedView.objects.visible_to(request.membership), request, pk)
    if not view.may_be_changed_by(request.membership):
        raise Http404
    return view
