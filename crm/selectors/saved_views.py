"""The tabs above the leads list: one's own leads, all of them, and the saved views."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from crm.models import Membership, SavedView
from crm.models.roles import Action


@dataclass(frozen=True)
class Tab:
    """A tab, with the query string that it leads to. `view` is None for those that everyone has."""

    label: str
    query: str
    is_current: bool
    view: SavedView | None = None


@dataclass(frozen=True)
class Tabs:
    """The tabs, and the saved view that is open, if one is.

    `is_changed`: the page is filtered or sorted in another way than that view, so there is something to save.
    """

    tabs: list[Tab]
    view: SavedView | None
    may_change: bool
    is_changed: bool


def tabs_of(membership: Membership, shown: Mapping[str, str], view_id: str) -> Tabs:
    """The member's tabs. `shown` has the filters and the sorting of the page, and `view_id` may name a view."""
    views = list(SavedView.objects.visible_to(membership))
    current = next((view for view in views if str(view.pk) == view_id), None)
    query = urlencode(shown)
    tabs = [Tab(label, address, current is None and query == address) for label, address in _for_everyone(membership)]
    for view in views:
        tabs.append(Tab(str(view), f"{view.query}&view={view.pk}".lstrip("&"), view == current, view))
    may_change = current is not None and current.may_be_changed_by(membership)
    return Tabs(tabs, current, may_change, is_changed=current is not None and current.query != query)


def _for_everyone(membership: Membership) -> list[tuple[str, str]]:
    """The tabs that need not be saved. Those who may not edit leads own none."""
    mine = [("My leads", urlencode({"owner": membership.user_id}))] if membership.may(Action.EDIT_LEADS) else []
    return [*mine, ("All leads", "")]
