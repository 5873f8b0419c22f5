"""The search of the whole product: a page, and the list in the palette that Ctrl-K opens."""

from typing import Final

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from crm.accounts.decorators import MemberRequest, member
from crm.forms.filters import SearchForm
from crm.models.roles import Action
from crm.models.search import folded, is_unfindable
from crm.selectors.finding import find
from crm.services.searches import recall_search
from crm.views.context_processors import NavigationItem, Page, navigation
from crm.views.filtering import to_filtered

ACTIONS: Final = (
    Page("Add lead", "lead_new", "plus", Action.EDIT_LEADS),
    Page("Add task", "task_new", "plus", Action.EDIT_LEADS),
    Page("Import leads", "lead_imports", "arrow-up-tray", Action.IMPORT_LEADS),
    Page("Bulk changes", "bulk_changes", "queue-list", Action.EDIT_LEADS),
    Page("Exports", "data_exports", "arrow-down-tray", Action.EXPORT_LEADS),
    Page("My tasks", "tasks", "check-circle", Action.EDIT_LEADS),
    Page("Your account", "account", "user-circle", Action.SEE_LEADS),
    Page("Help", "help", "question-mark-circle", Action.SEE_LEADS),
)


@member(Action.SEE_LEADS)
def find_anything(request: MemberRequest) -> HttpResponse:
    """Leads, deals, pages and actions. The form is posted, and redirects to a URL without what was typed.

    The palette gets only the list, and what is typed into it letter by letter is not stored.
    """
    if request.method == "POST" and not request.htmx:
        return to_filtered(request, ())
    if request.method == "POST":
        form = SearchForm(request.POST)
        text = form.cleaned_data["search"] if form.is_valid() else ""
        problem = "" if form.is_valid() else str(form.errors["search"][0])
        return render(request, "crm/finding/_options.html", _context(request, text) | {"problem": problem})
    text = recall_search(request.membership, request.GET.get("search", ""))
    return render(request, "crm/finding/results.html", _context(request, text))


def _context(request: MemberRequest, text: str) -> dict[str, object]:
    return {"search": text, "found": find(request.membership.company, text), "places": _places(request, text)}


def _places(request: MemberRequest, text: str) -> list[NavigationItem]:
    """The pages and actions whose names contain every word; all of them if `text` is empty."""
    if is_unfindable(text):
        return []
    words = folded(text).split()
    actions = [
        NavigationItem(action.label, reverse(action.url_name), action.icon, current=False, wide_only=False)
        for action in ACTIONS
        if request.membership.may(action.action)
    ]
    places = [*actions, *navigation(request.membership, "")]
    return [place for place in places if all(word in folded(place.label) for word in words)]
