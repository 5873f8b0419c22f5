"""The context of the base template: navigation, theme and companies to switch to."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from django.http import HttpRequest
from django.urls import reverse

from crm.accounts.typed_forms import TYPED, recall_typed
from crm.models import Membership
from crm.models.roles import Action, Role
from crm.models.space import space_of

THEME_COOKIE: Final = "theme"


@dataclass(frozen=True)
class Theme:
    """A colour theme, to choose in the account menu."""

    name: str
    icon: str


THEMES: Final = {
    theme.name: theme
    for theme in (
        Theme("auto", "computer-desktop"),
        Theme("light", "sun"),
        Theme("dark", "moon"),
    )
}


@dataclass(frozen=True)
class Page:
    """A page in the navigation, for members who may do `action`."""

    label: str
    url_name: str
    icon: str
    action: Action
    # The roles that have it as a tab on a phone, where five tabs fit. It is also in the account menu.
    on_phones_of: frozenset[str] = frozenset(Role)


PAGES: Final = (
    Page(
        "My day",
        "my_day",
        "sun",
        Action.EDIT_LEADS,
        on_phones_of=frozenset({Role.SALES}),
    ),
    Page("Dashboard", "dashboard", "squares-2x2", Action.SEE_LEADS),
    Page("Leads", "leads", "users", Action.SEE_LEADS),
    Page("Deals", "deals", "view-columns", Action.SEE_LEADS),
    Page(
        "Organisations",
        "organisations",
        "building-storefront",
        Action.SEE_LEADS,
        on_phones_of=frozenset(),
    ),
    Page(
        "Background jobs",
        "jobs",
        "queue-list",
        Action.SEE_LEADS,
        on_phones_of=frozenset(),
    ),
    Page("Recent Events", "events", "bolt", Action.SEE_EVENT_LOG),
    Page("LinkedIn", "linkedin", "link", Action.SEE_CONNECTION),
    Page(
        "Company",
        "company",
        "building-office-2",
        Action.MANAGE_COMPANY,
        on_phones_of=frozenset(),
    ),
)


@dataclass(frozen=True)
class NavigationItem:
    label: str
    url: str
    icon: str
    current: bool
    wide_only: bool


def shell(request: HttpRequest) -> dict[str, Any]:
    """`nav`, `theme`, `themes`, `membership`, the user's `companies`, `may` (whether the member may do each action),
    `typed`, for app.js to fill in again, and `space`, which is queried only by templates that show it.
    """
    membership: Membership | None = getattr(request, "membership", None)
    context = {
        "theme": THEMES.get(request.COOKIES.get(THEME_COOKIE, ""), THEMES["auto"]),
        "themes": THEMES.values(),
        "membership": membership,
        "companies": [each.company for each in getattr(request, "memberships", [])],
    }
    if membership is None:
        return context | {"may": {}, "nav": [], "typed": None, "space": None}
    return context | {
        "may": {action.value: membership.may(action) for action in Action},
        "nav": navigation(membership, request.path),
        "typed": recall_typed(request) if TYPED in request.session else None,
        "space": partial(space_of, membership.company_id),
    }


def navigation(membership: Membership, path: str) -> list[NavigationItem]:
    """The pages that this member may see. The current one has the longest URL that `path` starts with."""
    pages = [
        (page, reverse(page.url_name)) for page in PAGES if membership.may(page.action)
    ]
    matching = [
        url
        for page, url in pages
        if path == url or (url != "/" and path.startswith(url))
    ]
    current = max(matching, key=len, default=None)
    return [
        NavigationItem(
            page.label,
            url,
            page.icon,
            url == current,
            membership.role not in page.on_phones_of,
        )
        for page, url in pages
    ]
