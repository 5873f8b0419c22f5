"""Saving and deleting views of lists, and choosing the columns of the leads list."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final
from urllib.parse import parse_qsl, urlencode

from django.db import transaction

from crm.models import Company, Lead, LeadSource, Membership, SavedView
from crm.models.saved_view import LONGEST_QUERY, SORT

NO_SOURCE: Final = " "  # no lead can have it
# The filters of lists by the source of a lead.
SOURCES: Final = ("source", "lead_source")
# Of a list, per member, and for all API keys of a company: they are tabs.
VIEWS_AT_MOST: Final = 30
TOO_MANY: Final = (
    f"You have {VIEWS_AT_MOST} views. Delete one that you no longer need first."
)
TOO_MANY_OF_KEYS: Final = (
    f"Your company's API keys have made {VIEWS_AT_MOST} views. Delete one first."
)
GONE: Final = "This view has been deleted in the meantime."
BROKEN: Final = "Nothing was saved: a filter no longer works. Clear it first."
TOO_LONG: Final = "Nothing was saved: these are too many filters for one view."
SAME_NAME: Final = "You have a view with this name already."
SAME_NAME_OF_KEYS: Final = (
    "An API key of your company has made a view with this name already."
)


class ViewRefused(Exception):
    """The view was not saved; the message says why."""


class ViewGone(ViewRefused):
    """The view has been deleted in the meantime."""

    def __init__(self) -> None:
        super().__init__(GONE)


@transaction.atomic
def save_view(*, view: SavedView, fields: Collection[str] | None = None) -> SavedView:
    """Save a new or changed view; of a changed one, only these `fields` if they are given.

    Raises ViewRefused if the name is taken, there are too many views or the source no longer exists, and ViewGone.
    """
    # As an erasure does: no source that it removes from views can come back.
    Company.objects.hold(view.company_id)
    is_of_keys = view.owner_id is None
    of_list = SavedView.objects.for_company(view.company_id).filter(list=view.list)
    others = of_list.filter(owner=view.owner_id).exclude(pk=view.pk)
    if others.filter(name=view.name).exists():
        raise ViewRefused(SAME_NAME_OF_KEYS if is_of_keys else SAME_NAME)
    if view._state.adding:
        if others.count() >= VIEWS_AT_MOST:
            raise ViewRefused(TOO_MANY_OF_KEYS if is_of_keys else TOO_MANY)
    elif not SavedView.objects.select_for_update().filter(pk=view.pk).first():
        raise ViewGone
    if (fields is None or "query" in fields) and not _has_source(view):
        raise ViewRefused(BROKEN)
    view.save(update_fields=fields)
    return view


def query_of(filters: Iterable[tuple[str, str]], sort: str) -> str:
    """The query string of a view with these filters and this sorting. Raises ViewRefused if it is too long."""
    query = urlencode([*filters, (SORT, sort)] if sort else [*filters])
    if len(query) > LONGEST_QUERY:
        raise ViewRefused(TOO_LONG)
    return query


def change_columns(*, view: SavedView, columns: Sequence[str]) -> None:
    SavedView.objects.filter(pk=view.pk).update(columns=" ".join(columns))


def forget_source(lead: Lead) -> None:
    """Remove an erased person's source from the filters of views, unless another lead or the list has it.

    The filter stays, with a source that no lead can have: without a filter, the view would show all leads.
    """
    company, source = lead.company_id, lead.source
    if not source or _is_known(company, source, but=lead.pk):
        return
    views = SavedView.objects.for_company(company).filter(query__contains="source=")
    for view in views.select_for_update():
        filters = parse_qsl(view.query)
        kept = [
            (name, NO_SOURCE if name in SOURCES and value == source else value)
            for name, value in filters
        ]
        if kept != filters:
            SavedView.objects.filter(pk=view.pk).update(query=urlencode(kept))


def _has_source(view: SavedView) -> bool:
    """False if the view filters by a source that neither a lead nor the list still has."""
    asked = {view.filters[name] for name in SOURCES if name in view.filters}
    return all(_is_known(view.company_id, source) for source in asked - {NO_SOURCE})


def _is_known(company_id: int, source: str, *, but: int = 0) -> bool:
    """True if the list, or a lead other than the one with this key, has the source."""
    listed = LeadSource.objects.for_company(company_id).filter(name=source)
    leads = Lead.objects.for_company(company_id).filter(source=source)
    return listed.exists() or leads.exclude(pk=but).exists()


def delete_view(*, view: SavedView) -> None:
    view.delete()


@transaction.atomic
def choose_columns(*, membership: Membership, key: str, columns: Sequence[str]) -> None:
    """Show these columns in the member's list with this key, in this order; the usual ones if there are none."""
    # Locked: two tabs may choose those of two lists at once.
    locked = Membership.objects.select_for_update().get(pk=membership.pk)
    locked.set_columns(key, columns)
    locked.save(update_fields=["list_columns", "lead_columns"])
