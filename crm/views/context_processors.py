"""What the frame around every page needs: the navigation, the theme, the companies to switch to."""

from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest
from django.urls import reverse

from crm.models import Membership
from crm.models.roles import Action

THEME_COOKIE: Final = "theme"


@dataclass(frozen=True)
class Theme:
    """A choice of colours; the button in the header goes on to the `next` one."""

    name: str
    icon: str
    next: str


THEMES: Final = {
    theme.name: theme
    for theme in (
        Theme("auto", "computer-desktop", "light"),
        Theme("light", "sun", "dark"),
        Theme("dark", "moon", "auto"),
    )
}


@dataclass(frozen=True)
class Place:
    """A page in the navigation, for those who may do `action`."""

    label: str
    url_name: str
    icon: str
    action: Action
    wide_only: bool = False  # phones have room for five tabs; the account menu leads there too


PLACES: Final = (
    Place("Dashboard", "dashboard", "squares-2x2", Action.SEE_LEADS),
    Place("Leads", "leads", "users", Action.SEE_LEADS),
    Place("Deals", "deals", "view-columns", Action.SEE_LEADS),
    Place("Recent events", "events", "bolt", Action.SEE_EVENT_LOG),
    Place("LinkedIn", "linkedin", "link", Action.SEE_CONNECTION),
    Place("Company", "company", "building-office-2", Action.MANAGE_COMPANY, wide_only=True),
)


@dataclass(frozen=True)
class NavigationItem:
    label: str
    url: str
    icon: str
    current: bool
    wide_only: bool


def shell(request: HttpRequest) -> dict[str, Any]:
    """`nav`, `theme`, `membership`, the user's `companies`, `may` (an action's name → whether the member may do it)."""
    membership: Membership | None = getattr(request, "membership", None)
    return {
        "theme": THEMES.get(request.COOKIES.get(THEME_COOKIE, ""), THEMES["auto"]),
        "membership": membership,
        "companies": [each.company for each in getattr(request, "memberships", [])],
        "may": {action.value: membership.may(action) for action in Action} if membership else {},
        "nav": navigation(membership, request.path) if membership else [],
    }


def navigation(membership: Membership, path: str) -> list[NavigationItem]:
    """The places that this member may see; the current one is that with the longest address `path` begins with."""
    places = [(place, reverse(place.url_name)) for place in PLACES if membership.may(place.action)]
    inside = [url for place, url in places if path == url or (url != "/" and path.startswith(url))]
    current = max(inside, key=len, default=None)
    return [NavigationItem(place.label, url, place.icon, url == current, place.wide_only) for place, url in places]
