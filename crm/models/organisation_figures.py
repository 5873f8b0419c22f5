"""Lists organisations, and computes the figures of each from its leads.

Organisations have no rows. Each is a run of equal keys in an index of leads, and a list skips from one key to the next
in there: DISTINCT would read every lead.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from crm.models.company import Company
from crm.models.lead import Lead
from crm.models.organisation import KEY_OF_COLUMN
from crm.models.organisation_details import OrganisationDetails
from crm.models.steps import StageMeaning

COUNTED_UP_TO: Final = 1_000  # leads of one organisation
AFTER_ANY: Final = "\U0010ffff"  # sorts after anything that follows a prefix

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
# Goes from each key to its leads, and from these to their deals, whatever PostgreSQL expects: OFFSET 0 rules out other
# joins. Without statistics on a company, it expected a single lead and read all deals again for each one: minutes
# instead of 1 ms. With statistics, it may expect so many leads that it reads all deals.
OPEN_DEALS: Final = """
WITH asked (key) AS (VALUES {rows})
SELECT asked.key, deal.currency, count(*), sum(deal.amount)
FROM asked
CROSS JOIN LATERAL (SELECT id {own} = asked.key ORDER BY id DESC LIMIT {at_most}) AS lead
CROSS JOIN LATERAL (SELECT currency, amount, stage_id FROM crm_deal WHERE lead_id = lead.id OFFSET 0) AS deal
JOIN crm_stage AS stage ON stage.id = deal.stage_id AND stage.meaning = '{open}'
GROUP BY asked.key, deal.currency
"""
NAMES: Final = """
WITH asked (key) AS (VALUES {rows})
SELECT key, (SELECT organisation {own} = asked.key ORDER BY id LIMIT 1) FROM asked
"""
NAMED_AT_MOST: Final = 10  # organisations with one domain


@dataclass(frozen=True)
class Organisation:
    """An organisation, as its leads name it. `name` is spelled as on its oldest lead.

    `lead_count` stops at COUNTED_UP_TO + 1; the last activity and the open deals are then those of the newest leads.
    `sums` are the sums of the open deals by currency. `first_lead_id` is the id of the oldest lead.
    `details` are empty ones if nobody has filled in any.
    """

    key: str
    first_lead_id: int
    name: str
    lead_count: int
    last_activity_at: datetime
    deal_count: int = 0
    sums: Sequence[tuple[str, Decimal]] = ()
    details: OrganisationDetails = field(default_factory=OrganisationDetails)

    @property
    def is_counted(self) -> bool:
        return self.lead_count <= COUNTED_UP_TO

    @property
    def counted_up_to(self) -> int:
        return min(self.lead_count, COUNTED_UP_TO)


def open_deals_of(company: Company, keys: Sequence[str]) -> "Mapping[str, OpenDeals]":
    """The open deals of the newest COUNTED_UP_TO leads of each of these organisations, by key."""
    found: defaultdict[str, OpenDeals] = defaultdict(OpenDeals)
    for key, currency, count, total in asked(OPEN_DEALS, company, keys):
        found[key].count += count
        if total:
            found[key].sums.append((currency, total))
    return found


@dataclass
class OpenDeals:
    """The number of open deals, and their sums by currency."""

    count: int = 0
    sums: list[tuple[str, Decimal]] = field(default_factory=list)


def described(
    company: Company, keys: Sequence[str], *, has_deals: bool = True
) -> list[Organisation]:
    """The organisations with these keys, in this order. Organisations that have no leads any more are left out."""
    if not keys:
        return []
    figures = {row[0]: row[1:] for row in asked(FIGURES, company, keys) if row[3]}
    latest = Lead.objects.for_company(company, keys=[pk for *_, pk in figures.values()])
    active_at = dict(latest.values_list("pk", "updated_at"))
    deals = open_deals_of(company, keys) if has_deals else {}
    details = details_of(company, keys)
    none = OpenDeals()
    described = (
        (key, *figures[key], deals.get(key, none)) for key in keys if key in figures
    )
    return [
        Organisation(
            key,
            first,
            name,
            count,
            active_at[pk],
            own.count,
            sorted(own.sums),
            details.get(key) or OrganisationDetails(company=company, key=key),
        )
        for key, first, name, count, pk, own in described
        if pk in active_at
    ]


def details_of(company: Company, keys: Sequence[str]) -> dict[str, OrganisationDetails]:
    """The details of those of these organisations that have any, with their owners, by key."""
    rows = OrganisationDetails.objects.for_company(company).filter(key__in=keys)
    return {row.key: row for row in rows.select_related("owner")}


def names_of(company: Company, keys: Sequence[str]) -> list[tuple[str, str]]:
    """The keys and names of those of these organisations that leads name, in this order."""
    names = dict(asked(NAMES, company, keys)) if keys else {}
    return [(key, names[key]) for key in keys if names[key]]


def organisation_by_domain(company: Company, address: str) -> str:
    """The name of the organisation whose domain this e-mail address has; "" if none or several have it."""
    domain = address.rpartition("@")[2].lower()
    if not domain:
        return ""
    known = OrganisationDetails.objects.for_company(company).filter(domain=domain)
    keys = list(known.values_list("key", flat=True)[:NAMED_AT_MOST])
    names = [name for _, name in names_of(company, keys)]
    return names[0] if len(names) == 1 else ""


def asked(
    statement: str, company: Company, keys: Sequence[str]
) -> list[tuple[Any, ...]]:
    """The rows of a statement about these keys."""
    rows = ", ".join(["(CAST(%s AS text))"] * len(keys))
    sql = _sql(
        statement,
        rows=rows,
        at_most=COUNTED_UP_TO,
        one_more=COUNTED_UP_TO + 1,
        open=StageMeaning.OPEN,
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [*keys, *[company.pk] * (sql.count("%s") - len(keys))])
        return list(cursor.fetchall())


def _sql(statement: str, **parts: Any) -> str:
    return statement.format(
        key=KEY_OF_COLUMN, own=OWN.format(key=KEY_OF_COLUMN), **parts
    )


def next_keys(
    company: Company,
    count: int,
    beginning: str = "",
    *,
    beyond: str = "",
    is_descending: bool = False,
) -> list[str]:
    """The next `count` keys after `beyond`, or before it if `is_descending`, of those that start with `beginning`."""
    if is_descending:
        way, than, first, start = (
            "DESC",
            "<",
            "<",
            min(beyond, beginning + AFTER_ANY) if beginning else beyond,
        )
        within, bound = ">=", beginning
    else:
        way, than, first, start = (
            "ASC",
            ">",
            ">" if beyond >= beginning else ">=",
            max(beyond, beginning),
        )
        within, bound = "<", beginning + AFTER_ANY
    within, bounds = (
        (f"AND {KEY_OF_COLUMN} {within} %s", [bound]) if beginning else ("", [])
    )
    with connection.cursor() as cursor:
        sql = _sql(KEYS, first=first, than=than, within=within, way=way)
        cursor.execute(sql, [company.pk, start, *bounds, company.pk, *bounds, count])
        return [key for (key,) in cursor.fetchall()]
