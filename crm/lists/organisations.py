"""The list of organisations: names that leads have in common. An organisation's id is that of its oldest lead."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from operator import attrgetter
from typing import Any, Final

import django_filters
from django.db.models import QuerySet

from crm.lists.columns import Column, FileColumn
from crm.lists.custom_fields import BETWEEN
from crm.lists.definition import List
from crm.lists.filter_choices import colleagues, industries_of
from crm.lists.filter_types import RowFilter, TextChoiceFilter
from crm.lists.filters import ListFilter
from crm.models import Company, Lead, OrganisationDetails, OrganisationSize
from crm.models.bidi import without_bidi_controls
from crm.models.organisation import OrganisationKey
from crm.models.organisation_details import (
    DOMAIN_LENGTH,
    OrganisationDetailsQuerySet,
)
from crm.models.organisation_figures import Organisation, asked, described, next_keys
from crm.search.conditions import is_unfindable, parts_of
from crm.search.folding import folded

WALKED_AT_ONCE: Final = 1_000
OLDEST: Final = """
WITH asked (key) AS (VALUES {rows})
SELECT key, (SELECT id {own} = asked.key ORDER BY id LIMIT 1),
    (SELECT organisation {own} = asked.key ORDER BY id LIMIT 1)
FROM asked
"""


class OrganisationFilter(ListFilter):
    """The search for organisations, and the filters by their details.

    The search is one of names that leads have (`crm.selectors.organisations`), so its rows are not narrowed by it.
    """

    api_only = frozenset({"domain"})

    owner = RowFilter(queryset=colleagues, empty_label="Any owner")
    industry = TextChoiceFilter(empty_label="Any industry")
    size = django_filters.ChoiceFilter(
        label="Size", choices=OrganisationSize.choices, empty_label="Any size"
    )

    domain = django_filters.CharFilter(
        label="Domain", max_length=DOMAIN_LENGTH, method="filter_by_domain"
    )

    def set_choices(self, *, for_api: bool) -> None:
        self.filters["industry"].extra["choices"] = cache(self._industries)

    def _industries(self) -> list[tuple[str, str]]:
        names = industries_of(self.company, self.data.get("industry", ""))
        return [(name, without_bidi_controls(name)) for name in names]

    def searched(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows

    def filter_by_domain(
        self, rows: QuerySet[Any], name: str, domain: str
    ) -> QuerySet[Any]:
        return rows.filter(domain=domain.lower())

    @property
    def details(self) -> OrganisationDetailsQuerySet | None:
        """The details that the filters find; None if nothing is narrowed by details."""
        if not self.broken and not any(self.data.get(name) for name in self.filters):
            return None
        found: OrganisationDetailsQuerySet = self.qs
        return found


class OrganisationList(List):
    """A list whose rows are no table of their own: `rows` are the details, which only some of them have."""

    def keys(self, found: ListFilter, sort: str = "") -> Iterator[int]:
        return oldest_leads(found.company, found.search, found.details)

    def count(self, found: ListFilter) -> int | None:
        return None

    def exported(self, company: Company, keys: Sequence[int]) -> Mapping[int, Any]:
        """The organisations by the ids of their oldest leads. One whose oldest lead has left it is left out."""
        leads = Lead.objects.for_company(company, keys=keys).in_organisations()
        names = {*leads.values_list(OrganisationKey("organisation"), flat=True)}
        return {each.first_lead_id: each for each in described(company, sorted(names))}


def oldest_leads(
    company: Company,
    text: str = "",
    details: OrganisationDetailsQuerySet | None = None,
) -> Iterator[int]:
    """The id of the oldest lead of each organisation by name, of all or of those with every word of the text.

    With `details`, only of organisations with one of these.

    Unlike the list, it misses none for a common word: it goes through all organisations, two statements per thousand.
    """
    if is_unfindable(text):
        return
    parts, beyond = parts_of(text), ""
    while keys := next_keys(company, WALKED_AT_ONCE, beyond=beyond):
        oldest = {key: (pk, name) for key, pk, name in asked(OLDEST, company, keys)}
        wanted = keys if details is None else _with_details(keys, details)
        for pk, name in map(oldest.__getitem__, wanted):
            if pk and all(part in f" {folded(name)}" for part in parts):
                yield pk
        beyond = keys[-1]


def _with_details(
    keys: Sequence[str], details: OrganisationDetailsQuerySet
) -> list[str]:
    found = {*details.filter(key__in=keys).values_list("key", flat=True)}
    return [key for key in keys if key in found]


def _sums(organisation: Organisation) -> str:
    return BETWEEN.join(
        f"{amount} {currency}" for currency, amount in organisation.sums
    )


# For a very large organisation, leads are counted as far as on its page, and the deals are those of its newest leads.
FILE_COLUMNS: Final = (
    FileColumn("Organisation", attrgetter("name"), "organisation"),
    FileColumn("Leads", attrgetter("counted_up_to"), "leads"),
    FileColumn(
        "Has more leads", lambda organisation: not organisation.is_counted, "leads"
    ),
    FileColumn("Open deals", attrgetter("deal_count"), "deals"),
    FileColumn("Amount", _sums, "amount"),
    FileColumn("Last activity", attrgetter("last_activity_at"), "activity"),
    FileColumn("Domain", attrgetter("details.domain")),
    FileColumn("Owner", attrgetter("details.owner"), "owner"),
    FileColumn("Industry", attrgetter("details.industry")),
    FileColumn("Size", attrgetter("details.size")),
    FileColumn("Address", attrgetter("details.address")),
    FileColumn("Website", attrgetter("details.website")),
    FileColumn("Background", attrgetter("details.notes")),
    FileColumn("Number of the oldest lead", attrgetter("first_lead_id")),
)

ORGANISATIONS: Final = OrganisationList(
    noun="organisation",
    page="organisations",
    rows=OrganisationDetails.objects.for_company,
    filters=OrganisationFilter,
    columns=[
        Column("organisation", "Organisation"),
        Column("owner", "Owner"),
        Column("leads", "Leads"),
        Column("deals", "Open deals"),
        Column("amount", "Amount"),
        Column("activity", "Last activity"),
    ],
    file_columns=lambda company: FILE_COLUMNS,
    also_in_file="their details, and the number of the oldest lead",
)
