"""The tabs above a list: the member's own rows, all rows, and the saved views."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from django.urls import reverse

from crm.lists.definition import List
from crm.lists.registry import LISTS
from crm.models import Membership, SavedView
from crm.models.roles import Action


@dataclass(frozen=True)
class Tab:
    """A tab and its URL. `view` is None for those that everyone has."""

    label: str
    url: str
    is_current: bool
    view: SavedView | None = None


@dataclass(frozen=True)
class Tabs:
    """The tabs, and the saved view that is open, if one is.

    `is_changed`: the page is filtered or sorted differently from that view, so there is something to save.
    """

    listed: List
    tabs: list[Tab]
    view: SavedView | None
    may_change: bool
    is_changed: bool


def tabs_of(
    membership: Membership, listed: List, shown: Mapping[str, str], view_id: str
) -> Tabs:
    """The member's tabs. `shown` has the filters and the sorting of the page, and `view_id` may name a view."""
    views = list(SavedView.objects.visible_to(membership).filter(list=listed.key))
    current = next((view for view in views if str(view.pk) == view_id), None)
    query = urlencode(shown)
    tabs = [
        Tab(
            label,
            f"{reverse(listed.page)}?{filters}".rstrip("?"),
            current is None and query == filters,
        )
        for label, filters in _for_everyone(membership, listed)
    ]
    tabs += [Tab(str(view), address_of(view), view == current, view) for view in views]
    may_change = current is not None and current.may_be_changed_by(membership)
    return Tabs(
        listed,
        tabs,
        current,
        may_change,
        is_changed=current is not None and current.query != query,
    )


def address_of(view: SavedView) -> str:
    """The page of the list with the filters and the sorting of the view, which it names by `?view=`."""
    query = urlencode([*parse_qsl(view.query), ("view", str(view.pk))])
    return f"{reverse(LISTS[view.list].page)}?{query}"


def _for_everyone(membership: Membership, listed: List) -> list[tuple[str, str]]:
    """The tabs that need not be saved, with their filters. Members who may not edit leads own none."""
    mine = []
    if membership.may(Action.EDIT_LEADS):
        mine = [(f"My {listed.key}", urlencode({"owner": membership.user_id}))]
    return [*mine, (f"All {listed.key}", "")]
