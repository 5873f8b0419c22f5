"""The search of the whole product: a page, and the list in the palette that Ctrl-K opens."""

from typing import Final

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from crm.accounts.decorators import MemberRequest, member
from crm.forms.filters import SearchForm
from crm.models.roles import Action
from crm.search.conditions import is_unfindable
from crm.search.folding import folded
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

# Pages that others lead to by a tab or a button. They are listed only if someone looks for them.
FURTHER: Final = (
    Page("Add deal", "deal_new", "plus", Action.EDIT_LEADS),
    Page("Board of deals", "deals", "view-columns", Action.SEE_LEADS),
    Page("List of deals", "deal_list", "list-bullet", Action.SEE_LEADS),
    Page("Forecast", "forecast", "chart-bar", Action.SEE_LEADS),
    Page("Funnel", "funnel", "funnel", Action.SEE_LEADS),
    Page("Duplicates", "lead_duplicates", "square-2-stack", Action.EDIT_LEADS),
    Page("Tasks in your calendar", "calendar", "calendar-days", Action.EDIT_LEADS),
    Page("Overview", "overview", "chart-bar", Action.SEE_EVENT_LOG),
    Page("Alerts", "alerts", "bell", Action.SEE_CONNECTION),
    Page("Reconcile", "reconcile", "scale", Action.SEE_EVENT_LOG),
    Page("Dry run", "dry_run", "beaker", Action.SEE_EVENT_LOG),
    Page("Check my hash", "check_hash", "finger-print", Action.SEE_EVENT_LOG),
    Page("Backfill", "backfills", "clock", Action.BACKFILL),
    Page("Add rule", "rule_new", "plus", Action.CHANGE_RULES),
    Page("Import rules", "rule_import", "arrow-down-tray", Action.CHANGE_RULES),
    Page("Access token", "token_save", "key", Action.CHANGE_CONNECTION),
    Page("People", "people", "users", Action.MANAGE_COMPANY),
    Page("Lists and tags", "picklists", "tag", Action.MANAGE_COMPANY),
    Page("Pipelines", "pipelines", "view-columns", Action.MANAGE_COMPANY),
    Page(
        "Custom fields",
        "custom_fields",
        "adjustments-horizontal",
        Action.MANAGE_COMPANY,
    ),
    Page("Audit log", "audit_log", "clipboard-document-list", Action.MANAGE_COMPANY),
    Page("Add API key", "api_key_new", "key", Action.MANAGE_COMPANY),
    Page(
        "Company sign-in", "sign_in_provider", "identification", Action.MANAGE_COMPANY
    ),
    Page(
        "Export everything",
        "company_export",
        "archive-box-arrow-down",
        Action.MANAGE_COMPANY,
    ),
    Page("Change password", "account_change_password", "lock-closed", Action.SEE_LEADS),
    Page("Change e-mail address", "account_email", "envelope", Action.SEE_LEADS),
    Page("Passkeys", "mfa_list_webauthn", "finger-print", Action.SEE_LEADS),
    Page("Sessions", "usersessions_list", "computer-desktop", Action.SEE_LEADS),
    Page("API", "api-docs", "code-bracket", Action.SEE_LEADS),
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
        return render(
            request,
            "crm/finding/_options.html",
            _context(request, text) | {"problem": problem},
        )
    text = recall_search(request.membership, request.GET.get("search", ""))
    return render(request, "crm/finding/results.html", _context(request, text))


def _context(request: MemberRequest, text: str) -> dict[str, object]:
    return {
        "search": text,
        "found": find(request.membership.company, text),
        "places": _places(request, text),
    }


def _places(request: MemberRequest, text: str) -> list[NavigationItem]:
    """The pages and actions whose names contain every word. If `text` is empty, all but the further ones."""
    if is_unfindable(text):
        return []
    words = folded(text).split()
    actions = [
        NavigationItem(
            action.label,
            reverse(action.url_name),
            action.icon,
            current=False,
            wide_only=False,
        )
        for action in (*ACTIONS, *(FURTHER if words else ()))
        if request.membership.may(action.action)
    ]
    places = [*actions, *navigation(request.membership, "")]
    return [
        place for place in places if all(word in folded(place.label) for word in words)
    ]
