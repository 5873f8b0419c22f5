"""The list of leads: its columns, its order, and one page of it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final

from django.db import connection
from django.db.models import F, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils.text import Truncator

from crm.models import Company, CustomField, Lead, LeadStatus, LeadType, Membership
from crm.models.lead import LeadQuerySet
from crm.selectors.columns import Column
from crm.selectors.custom_fields import as_text
from crm.selectors.keyset import ByFields, ByGroup, KeysetPage, Order, page_of

LEADS_PER_PAGE: Final = 25
COLUMNS_AT_MOST: Final = 6  # without the fixed ones
LISTED_AT_MOST: Final = 2  # custom fields with a column by default, in place of the source
LONGEST_CUSTOM: Final = 80  # characters
SOURCES_OFFERED: Final = 50
NEWEST_FIRST: Final = ByFields(["created_at"])


@dataclass(frozen=True)
class LeadColumn(Column[Order]):
    """A column of the leads table. A fixed one is always shown, first.

    `cell` is the template of its cells, which shows what `read` returns of a lead.
    """

    read: Callable[[Lead], Any] = str
    is_fixed: bool = False
    is_default: bool = True
    cell: str = "crm/leads/cells/text.html"


def _by(*fields: str) -> Callable[[Company, bool], Order]:
    return lambda company, is_descending: ByFields(fields, is_descending)


def _by_status(company: Company, is_descending: bool) -> Order:
    statuses = LeadStatus.objects.for_company(company).order_by("position", "pk")
    return ByGroup("status_id", list(statuses.values_list("pk", flat=True)), is_descending)


def _by_owner(company: Company, is_descending: bool) -> Order:
    """By the names of the members, those without an owner first."""
    members = Membership.objects.for_company(company).order_by("user__first_name", "user__last_name", "user")
    return ByGroup("owner_id", [None, *members.values_list("user_id", flat=True)], is_descending)


def _owner(lead: Lead) -> str:
    return str(lead.owner or "")


NAME: Final = "crm/leads/cells/name.html"
STATUS: Final = "crm/leads/cells/status.html"
DAY: Final = "crm/leads/cells/day.html"
ORGANISATION: Final = "crm/leads/cells/organisation.html"
COLUMNS: Final = (
    LeadColumn("name", "Name", _by("last_name", "first_name"), is_fixed=True, cell=NAME),
    LeadColumn("status", "Status", _by_status, attrgetter("status"), is_fixed=True, cell=STATUS),
    LeadColumn("organisation", "Organisation", _by("organisation"), attrgetter("organisation"), cell=ORGANISATION),
    LeadColumn("owner", "Owner", _by_owner, _owner),
    LeadColumn("source", "Source", _by("source"), attrgetter("source")),
    LeadColumn("created", "Created", _by("created_at"), attrgetter("created_at"), cell=DAY),
    LeadColumn("updated", "Last activity", _by("updated_at"), attrgetter("updated_at"), is_default=False, cell=DAY),
    LeadColumn("title", "Job title", read=attrgetter("title"), is_default=False),
    LeadColumn("phone", "Phone", read=attrgetter("phone"), is_default=False),
    LeadColumn("type", "Type", read=attrgetter("type_name"), is_default=False),
)
SORTABLE: Final = {column.key: column for column in COLUMNS if column.order}


def all_columns(company: Company, custom_fields: Iterable[CustomField]) -> list[LeadColumn]:
    """All columns that can be chosen, with one for each custom field. Those of listed fields are shown by default."""
    return [*COLUMNS, *(_custom_column(company, field) for field in custom_fields)]


def _custom_column(company: Company, field: CustomField) -> LeadColumn:
    def read(lead: Lead) -> str:
        return Truncator(as_text(field, lead.custom.get(field.key), company)).chars(LONGEST_CUSTOM)

    return LeadColumn(f"custom.{field.key}", str(field), read=read, is_default=field.is_listed)


def columns_of(keys: Sequence[str], offered: Sequence[LeadColumn]) -> list[LeadColumn]:
    """The columns with these keys, in this order, after the fixed ones. The usual ones if there are no keys.

    A key that no offered column has is left out: its custom field may have been removed.
    """
    by_key = {column.key: column for column in offered}
    chosen = [by_key[key] for key in dict.fromkeys(keys) if key in by_key]
    shown = [column for column in chosen or _usual(offered) if not column.is_fixed]
    return [*(column for column in offered if column.is_fixed), *shown]


def _usual(offered: Sequence[LeadColumn]) -> list[LeadColumn]:
    """The columns shown if none are chosen: few enough to leave room for their content."""
    usual = [column for column in offered if column.is_default]
    custom = [column for column in usual if column.css == "custom"][:LISTED_AT_MOST]
    return [column for column in usual if column.css not in ("custom", *(["source"] if custom else []))] + custom


def is_sorted_by(sort: str) -> bool:
    """True for the key of a column that can be sorted by, with or without a leading "-"."""
    return sort.removeprefix("-") in SORTABLE


def order_of(sort: str, company: Company) -> Order:
    """The order by a column's key, descending with a leading "-". Newest first for an unknown key."""
    column = SORTABLE.get(sort.removeprefix("-"))
    return column.order(company, sort.startswith("-")) if column and column.order else NEWEST_FIRST


def leads_page(leads: LeadQuerySet, company: Company, sort: str, *, after: str, before: str) -> KeysetPage[Lead]:
    """A page of these leads of the company, with the related rows that the list shows."""
    types = LeadType.objects.filter(company=OuterRef("company"), code=OuterRef("type"))
    return page_of(
        leads.annotate(type_name=Coalesce(Subquery(types.values("name")), F("type")))
        .select_related("status", "owner")
        .prefetch_related("tags"),
        order_of(sort, company),
        size=LEADS_PER_PAGE,
        known=Lead.objects.for_company(company),
        after=after,
        before=before,
    )


# Jumps from one source to the next in the index: DISTINCT would read every lead. Erased leads have no source.
SOURCES: Final = """
WITH RECURSIVE found (source) AS (
    SELECT min(source) FROM crm_lead WHERE company_id = %s AND source > ''
    UNION ALL
    SELECT (SELECT min(source) FROM crm_lead WHERE company_id = %s AND source > found.source)
    FROM found WHERE found.source IS NOT NULL
)
SELECT source FROM found WHERE source IS NOT NULL LIMIT %s
"""


def sources_of(company: Company) -> list[str]:
    """The sources of the company's leads in alphabetical order, SOURCES_OFFERED at most."""
    with connection.cursor() as cursor:
        cursor.execute(SOURCES, [company.pk, company.pk, SOURCES_OFFERED])
        return [source for (source,) in cursor.fetchall()]
