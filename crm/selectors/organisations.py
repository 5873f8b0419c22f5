"""Organisations: the list, one of them, and those that someone may mean who types.

There are no rows of them. Each is a run of equal keys in one index, and a page goes from one key to the next in there:
DISTINCT would read every lead.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from crm.models import Company, Lead, StageMeaning
from crm.models.organisation import OrganisationKey, key_of_column, organisation_key
from crm.models.search import Contains, folded, is_unfindable, parts_of
from crm.models.validators import is_number

ORGANISATIONS_PER_PAGE: Final = 25
SUGGESTED: Final = 10
# Leads with the words of a text, whose organisations are then compared with it.
SUGGESTED_FROM: Final = 2_000
SEARCHED_AT_MOST: Final = 5_000
COUNTED_UP_TO: Final = 1_000  # leads of one organisation
AFTER_ANY: Final = "\U0010ffff"  # behind whatever follows a prefix

# The literals are the condition of the index. An erased lead has no organisation.
OWN: Final = "FROM crm_lead WHERE company_id = %s AND organisation > '' AND merged_into_id IS NULL AND {key}"
KEYS: Final = """
WITH RECURSIVE found (key) AS (
    SELECT (SELECT {key} {own} {first} %s {within} ORDER BY {key} {way} LIMIT 1)
    UNION ALL
    SELECT (SELECT {key} {own} {than} found.key {within} ORDER BY {key} {way} LIMIT 1)
    FROM found WHERE found.key IS NOT NULL
)
SELECT key FROM found WHERE key IS NOT NULL LIMIT %s
"""
NAMES: Final = """
WITH asked (key) AS (VALUES {rows})
SELECT key, (SELECT organisation {own} = asked.key ORDER BY id LIMIT 1) FROM asked
"""
FIGURES: Final = """
WITH asked (key) AS (VALUES {rows})
SELECT key,
    (SELECT id {own} = asked.key ORDER BY id LIMIT 1),
    (SELECT organisation {own} = asked.key ORDER BY id LIMIT 1),
    (SELECT count(*) FROM (SELECT 1 {own} = asked.key LIMIT {one_more}) AS newest),
    (SELECT id FROM (SELECT id, updated_at {own} = asked.key ORDER BY id DESC LIMIT {at_most}) AS newest
     ORDER BY updated_at DESC LIMIT 1)
FROM asked
"""
# The first id of the newest leads, and not their ids: only PostgreSQL could join those to their key.
OPEN_DEALS: Final = """
WITH asked (key) AS (VALUES {rows}),
newest (key, since) AS MATERIALIZED (
    SELECT key, COALESCE((SELECT id {own} = asked.key ORDER BY id DESC LIMIT 1 OFFSET {at_most} - 1), 0) FROM asked
)
SELECT newest.key, deal.currency, count(*), sum(deal.amount)
FROM newest
JOIN (SELECT {key} AS key, id {own} > '') AS lead ON lead.key = newest.key AND lead.id >= newest.since
JOIN crm_deal AS deal ON deal.lead_id = lead.id AND deal.company_id = %s
JOIN crm_stage AS stage ON stage.id = deal.stage_id AND stage.meaning = '{open}'
GROUP BY newest.key, deal.currency
"""


@dataclass(frozen=True)
class Organisation:
    """What leads have in common that name the same organisation. It is called as the first of them is written.

    `lead_count` stops at COUNTED_UP_TO + 1, and the last activity and the open deals are then those of the newest
    leads. `sums` are those of the open deals, by currency. `first_lead_id` is that of the oldest one.
    """

    key: str
    first_lead_id: int
    name: str
    lead_count: int
    last_activity_at: datetime
    deal_count: int = 0
    sums: Sequence[tuple[str, Decimal]] = ()

    @property
    def is_counted(self) -> bool:
        return self.lead_count <= COUNTED_UP_TO

    @property
    def counted_up_to(self) -> int:
        return min(self.lead_count, COUNTED_UP_TO)


@dataclass(frozen=True)
class OrganisationPage:
    """A page of organisations by key. `previous` and `next`: where to read backwards and on from; None for no more.

    That is the id of a lead of the organisation there: the key may be what someone has searched for.

    `is_cut`: more leads have the words of a search than are looked through, so some organisations may be missing.
    """

    rows: Sequence[Organisation]
    previous: int | None = None
    next: int | None = None
    is_cut: bool = False


def organisations_page(
    company: Company, text: str = "", *, size: int = ORGANISATIONS_PER_PAGE, after: str = "", before: str = ""
) -> OrganisationPage:
    """The page after or before this place, or the first one, of all or of those with every word of the text."""
    beyond = _key_at(company, after or before)
    is_backwards = bool(beyond) and not after
    text, is_cut = text.strip(), False
    if text:
        keys, is_cut = _found(company, text, size + 1, beyond=beyond, is_descending=is_backwards)
    else:
        keys = _next_keys(company, size + 1, beyond=beyond, is_descending=is_backwards)
    has_more, keys = len(keys) > size, keys[:size]
    if beyond and (not keys or (is_backwards and not has_more)):
        return organisations_page(company, text, size=size)
    if is_backwards:
        keys.reverse()
    has_previous, has_next = (has_more, True) if is_backwards else (bool(beyond), has_more)
    rows = _described(company, keys)
    return OrganisationPage(
        rows,
        rows[0].first_lead_id if rows and has_previous else None,
        rows[-1].first_lead_id if rows and has_next else None,
        is_cut,
    )


def organisation_of(company: Company, name: str, *, has_deals: bool = True) -> Organisation | None:
    """The organisation with this name or key, without its open deals if told so; None if no lead has it."""
    leads = Lead.objects.for_company(company).of_organisation(name)
    key = leads.values_list(OrganisationKey("organisation"), flat=True).first()
    return next(iter(_described(company, [key] if key else [], has_deals=has_deals)), None)


def names_like(company: Company, text: str, at_most: int = SUGGESTED) -> list[tuple[str, str]]:
    """Keys and names of organisations that begin with the text, and then of those that have each of its words.

    Of a word that very many leads have, if only in their addresses (“com”), those that begin with it are certain alone.
    """
    beginning = organisation_key(text)
    if not beginning:
        return []
    keys = _next_keys(company, at_most, beginning)
    if len(keys) < at_most:
        keys += sorted(_with_words(company, text, SUGGESTED_FROM)[0] - {*keys})
    return _named(company, keys[:at_most])


def open_deals_of(company: Company, keys: Sequence[str]) -> "Mapping[str, OpenDeals]":
    """The open deals of the newest COUNTED_UP_TO leads of each of these organisations, by key."""
    found: defaultdict[str, OpenDeals] = defaultdict(OpenDeals)
    for key, currency, count, total in _asked(OPEN_DEALS, company, keys):
        found[key].count += count
        if total:
            found[key].sums.append((currency, round(Decimal(str(total)), 2)))  # SQLite has no decimals
    return found


@dataclass
class OpenDeals:
    """How many there are, and their sums by currency."""

    count: int = 0
    sums: list[tuple[str, Decimal]] = field(default_factory=list)


def _key_at(company: Company, place: str) -> str:
    """The key of the lead with this id, wherever it is by now; "" if there is none."""
    if not is_number(place):
        return ""
    leads = Lead.objects.for_company(company).filter(pk=place)
    return leads.values_list(OrganisationKey("organisation"), flat=True).first() or ""


def _described(company: Company, keys: Sequence[str], *, has_deals: bool = True) -> list[Organisation]:
    """The organisations with these keys, in this order. Those that no lead has any more are left out."""
    if not keys:
        return []
    figures = {row[0]: row[1:] for row in _asked(FIGURES, company, keys) if row[3]}
    latest = Lead.objects.for_company(company).filter(pk__in=[pk for *_, pk in figures.values()])
    active_at = dict(latest.values_list("pk", "updated_at"))
    deals = open_deals_of(company, keys) if has_deals else {}
    none = OpenDeals()
    described = ((key, *figures[key], deals.get(key, none)) for key in keys if key in figures)
    return [
        Organisation(key, first, name, count, active_at[pk], own.count, sorted(own.sums))
        for key, first, name, count, pk, own in described
        if pk in active_at
    ]


def _named(company: Company, keys: Sequence[str]) -> list[tuple[str, str]]:
    names = dict(_asked(NAMES, company, keys)) if keys else {}
    return [(key, names[key]) for key in keys if names[key]]


def _asked(statement: str, company: Company, keys: Sequence[str]) -> list[tuple[Any, ...]]:
    """The rows of a statement about these keys."""
    rows = ", ".join(["(CAST(%s AS text))"] * len(keys))
    sql = _sql(statement, rows=rows, at_most=COUNTED_UP_TO, one_more=COUNTED_UP_TO + 1, open=StageMeaning.OPEN)
    with connection.cursor() as cursor:
        cursor.execute(sql, [*keys, *[company.pk] * (sql.count("%s") - len(keys))])
        return list(cursor.fetchall())


def _sql(statement: str, **parts: Any) -> str:
    key = key_of_column(connection)
    return statement.format(key=key, own=OWN.format(key=key), **parts)


def _next_keys(
    company: Company, count: int, beginning: str = "", *, beyond: str = "", is_descending: bool = False
) -> list[str]:
    """The next keys after this one, or before it, of all or of those with this beginning."""
    if is_descending:
        way, than, first, start = "DESC", "<", "<", min(beyond, beginning + AFTER_ANY) if beginning else beyond
        within, bound = ">=", beginning
    else:
        way, than, first, start = "ASC", ">", ">" if beyond >= beginning else ">=", max(beyond, beginning)
        within, bound = "<", beginning + AFTER_ANY
    within, bounds = (f"AND {key_of_column(connection)} {within} %s", [bound]) if beginning else ("", [])
    with connection.cursor() as cursor:
        sql = _sql(KEYS, first=first, than=than, within=within, way=way)
        cursor.execute(sql, [company.pk, start, *bounds, company.pk, *bounds, count])
        return [key for (key,) in cursor.fetchall()]


def _found(
    company: Company, text: str, count: int, *, beyond: str = "", is_descending: bool = False
) -> tuple[list[str], bool]:
    """The next keys of organisations that have every word of the text, and whether some may be missing.

    Not in the order of the index, where each lead of the company would be read for a word that few have.
    """
    keys, is_cut = _with_words(company, text, SEARCHED_AT_MOST)
    if is_cut:
        keys.update(_next_keys(company, count, organisation_key(text), beyond=beyond, is_descending=is_descending))
    keys = {key for key in keys if (key < beyond if is_descending else key > beyond)}
    return sorted(keys, reverse=is_descending)[:count], is_cut


def _with_words(company: Company, text: str, at_most: int) -> tuple[set[str], bool]:
    """The keys of organisations that have every word of the text, and whether not all leads with these were read.

    The index of search texts finds leads by more than their organisation. So many are read, in no order, and then
    compared: an order, or a limit on what is left, would have all of them read for a common word.
    """
    if is_unfindable(text):
        return set(), False
    parts = parts_of(text)
    leads = Lead.objects.for_company(company).in_organisations().filter(*map(Contains, parts)).order_by()
    rows = list(leads.values_list(OrganisationKey("organisation"), "organisation")[: at_most + 1])
    names = {*rows[:at_most]}
    return {key for key, name in names if all(part in f" {folded(name)}" for part in parts)}, len(rows) > at_most
