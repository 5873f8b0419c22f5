"""Organisations: the list, a single one, and suggestions for what someone types."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from operator import gt, lt
from typing import Final

from crm.models import Company, Lead, OrganisationRename
from crm.models.organisation import OrganisationKey, organisation_key
from crm.models.organisation_details import OrganisationDetailsQuerySet
from crm.models.organisation_figures import (
    Organisation,
    described,
    names_of,
    next_keys,
)
from crm.models.validators import is_number
from crm.search.conditions import Contains, is_unfindable, parts_of
from crm.search.folding import folded

ORGANISATIONS_PER_PAGE: Final = 25
SUGGESTED: Final = 10
# How many leads with the words of a text are read, to compare their organisations with it.
SUGGESTED_FROM: Final = 2_000
SEARCHED_AT_MOST: Final = 5_000


@dataclass(frozen=True)
class OrganisationPage:
    """A page of organisations by key. `previous` and `next`: where to read backwards and on from; None for no more.

    They are ids of leads of the organisations there: a key may be what someone has searched for.

    `is_cut`: more leads have the words of a search than are checked, so some organisations may be missing.
    """

    rows: Sequence[Organisation]
    previous: int | None = None
    next: int | None = None
    is_cut: bool = False


def organisations_page(
    company: Company,
    text: str = "",
    *,
    size: int = ORGANISATIONS_PER_PAGE,
    details: OrganisationDetailsQuerySet | None = None,
    after: str = "",
    before: str = "",
) -> OrganisationPage:
    """The page after or before this place, or the first one, of all or of those with every word of the text.

    With `details`, only organisations with one of these.
    """
    beyond = _key_at(company, after or before)
    is_backwards = bool(beyond) and not after
    keys, is_cut = _found(
        company,
        text.strip(),
        size + 1,
        details=details,
        beyond=beyond,
        is_descending=is_backwards,
    )
    has_more, keys = len(keys) > size, keys[:size]
    if beyond and (not keys or (is_backwards and not has_more)):
        return organisations_page(company, text, size=size, details=details)
    has_previous, has_next = beyond != "", has_more
    if is_backwards:
        keys.reverse()
        has_previous, has_next = has_more, True
    rows = described(company, keys)
    if not rows:
        return OrganisationPage(rows, is_cut=is_cut)
    return OrganisationPage(
        rows,
        previous=rows[0].first_lead_id if has_previous else None,
        next=rows[-1].first_lead_id if has_next else None,
        is_cut=is_cut,
    )


def organisation_of(
    company: Company, name: str, *, has_deals: bool = True
) -> Organisation | None:
    """The organisation with this name or key, with its open deals if `has_deals`; None if no lead has it."""
    leads = Lead.objects.for_company(company).of_organisation(name)
    key = leads.values_list(OrganisationKey("organisation"), flat=True).first()
    if not key:
        return None
    return next(iter(described(company, [key], has_deals=has_deals)), None)


def names_like(
    company: Company, text: str, at_most: int = SUGGESTED
) -> list[tuple[str, str]]:
    """Keys and names of organisations that begin with the text, and then of those that have each of its words.

    For a word that very many leads have, if only in their addresses (“com”), only the former are sure to be found.
    """
    beginning = organisation_key(text)
    if not beginning:
        return []
    keys = next_keys(company, at_most, beginning)
    if len(keys) < at_most:
        with_words, _ = _with_words(company, text, SUGGESTED_FROM)
        keys += sorted(with_words.difference(keys))
    return names_of(company, keys[:at_most])


def undoable_rename(company: Company, key: str) -> OrganisationRename | None:
    """The latest rename to the name with this key, if it can still be undone."""
    renames = OrganisationRename.objects.for_company(company).undoable()
    return renames.of(key).select_related("company", "renamed_by").first()


def _key_at(company: Company, place: str) -> str:
    """The key of the lead with this id, wherever it is by now; "" if there is none."""
    if not is_number(place):
        return ""
    leads = Lead.objects.for_company(company).filter(pk=place)
    return leads.values_list(OrganisationKey("organisation"), flat=True).first() or ""


def _found(
    company: Company,
    text: str,
    count: int,
    *,
    details: OrganisationDetailsQuerySet | None,
    beyond: str,
    is_descending: bool,
) -> tuple[list[str], bool]:
    """The next keys of organisations that have every word of the text, and whether some may be missing.

    Not searched in the order of the index: every lead of the company would be read for a word that few have.
    """
    read_on = partial(
        next_keys, company, count, beyond=beyond, is_descending=is_descending
    )
    if not text and details is not None:
        return _next_with_details(company, details, count, beyond, is_descending), False
    if not text:
        return read_on(), False
    keys, is_cut = _with_words(company, text, SEARCHED_AT_MOST)
    if is_cut:
        keys.update(read_on(organisation_key(text)))
    if details is not None:
        keys &= {*details.filter(key__in=keys).values_list("key", flat=True)}
    is_further = lt if is_descending else gt
    left = [key for key in keys if is_further(key, beyond)]
    return sorted(left, reverse=is_descending)[:count], is_cut


def _next_with_details(
    company: Company,
    details: OrganisationDetailsQuerySet,
    count: int,
    beyond: str,
    is_descending: bool,
) -> list[str]:
    """The next keys of these details that leads name, without those that no lead names any more.

    Not in one query: without statistics on a company, PostgreSQL looked for the leads of all details first.
    """
    than, order = ("lt", "-key") if is_descending else ("gt", "key")
    keys = details.order_by(order).values_list("key", flat=True)
    found: list[str] = []
    while len(found) < count:
        further = list(keys.filter(**{f"key__{than}": beyond})[:count])
        found += [key for key, _ in names_of(company, further)]
        if len(further) < count:
            break
        beyond = further[-1]
    return found[:count]


def _with_words(company: Company, text: str, at_most: int) -> tuple[set[str], bool]:
    """The keys of organisations that have every word of the text, and True if not all leads with them were read.

    The index of search texts finds leads by more than their organisation. So `at_most` of them are read, in no order,
    and then compared: with an order, or a limit on what is left, all of them would be read for a common word.
    """
    if is_unfindable(text):
        return set(), False
    parts = parts_of(text)
    leads = Lead.objects.for_company(company).in_organisations()
    found = leads.filter(*map(Contains, parts)).order_by()
    names = found.values_list(OrganisationKey("organisation"), "organisation")
    rows = list(names[: at_most + 1])
    keys = {
        key
        for key, name in set(rows[:at_most])
        if all(part in f" {folded(name)}" for part in parts)
    }
    return keys, len(rows) > at_most
