"""The list of leads."""

from collections.abc import Collection
from operator import attrgetter
from typing import Any, Final

import django_filters
from django.db.models import F, OuterRef, Prefetch, QuerySet, Subquery
from django.db.models.functions import Coalesce
from drf_spectacular.utils import extend_schema_field

from crm.lists.columns import DAY_CELL, Column, FileColumn, by
from crm.lists.custom_fields import BETWEEN, custom_file_columns
from crm.lists.definition import List
from crm.lists.filter_choices import FilterRequest, colleagues, tags, type_choices
from crm.lists.filter_types import (
    ExternalIdFilter,
    HasTextFilter,
    OptionalRowFilter,
    RowFilter,
    SinceFilter,
    TextChoiceFilter,
    UntilFilter,
    YesNoFilter,
)
from crm.lists.filters import ListFilter, ViewFilter
from crm.lists.keyset import ByFields, ByGroup, Order
from crm.models import (
    Company,
    CustomField,
    FieldSubject,
    FunnelStep,
    Lead,
    LeadStatus,
    LeadType,
    Membership,
)
from crm.models.address_problems import AddressProblem
from crm.models.addresses import NO_ADDRESS, PersonAddressField
from crm.models.funnel import has_reached
from crm.models.lead import LeadQuerySet
from crm.models.steps import StepQuerySet

ADDRESS_IN_SCHEMA: Final = {
    "type": "string",
    "format": "email",
    "maxLength": 254,
    "description": "Exactly this e-mail address, ignoring case.",
}
# Characters.
LONGEST_ORGANISATION: Final = Lead._meta.get_field("organisation").max_length


def statuses(request: FilterRequest) -> StepQuerySet[LeadStatus]:
    return LeadStatus.objects.for_company(request.membership.company)


@extend_schema_field(ADDRESS_IN_SCHEMA)
class AddressFilter(django_filters.CharFilter):  # type: ignore[misc]
    """Compares in the same way as the index of addresses.

    A lead that was merged into another one is found as that: it is the same person.
    """

    field_class = PersonAddressField

    def filter(self, leads: LeadQuerySet, address: str) -> LeadQuerySet:
        if not address:
            return leads
        known = Lead.objects.for_company(self.parent.company).with_address(address)
        return leads.filter(pk__in=known.values_list(Coalesce("merged_into", "pk")))


class OrganisationNameFilter(django_filters.CharFilter):  # type: ignore[misc]
    """The leads of the organisation with this name, ignoring case and blanks."""

    def filter(self, leads: LeadQuerySet, name: str) -> LeadQuerySet:
        return leads.of_organisation(name) if name else leads


class LeadFilter(ListFilter):
    """The filters of leads."""

    api_only = frozenset({"email", "external_id", "organisation", "view"})

    status = RowFilter(queryset=statuses, empty_label="Any status")
    owner = OptionalRowFilter(
        queryset=colleagues, empty_label="Any owner", null_label="No owner"
    )
    source = TextChoiceFilter(empty_label="Any source")
    tag = RowFilter(field_name="tags", queryset=tags, empty_label="Any tag")
    type = TextChoiceFilter(empty_label="Any")
    reached = django_filters.ChoiceFilter(
        label="Reached",
        choices=FunnelStep.choices,
        empty_label="Any",
        method="filter_by_step",
    )
    has_source = HasTextFilter(field_name="source", label="Has a source")
    has_email = YesNoFilter(
        field_name="email", label="Has e-mail", method="filter_by_email"
    )
    address_problem = django_filters.ChoiceFilter(
        label="Address problem",
        choices=AddressProblem.choices,
        empty_label="Any",
        method="filter_by_problem",
    )
    shared = YesNoFilter(field_name="share_with_ad_platforms", label="Shared with ads")
    created_from = SinceFilter("created_at", "Created from")
    created_until = UntilFilter("created_at", "Until")
    updated_from = SinceFilter("updated_at", "Last activity from")
    updated_until = UntilFilter("updated_at", "Until")
    email = AddressFilter(
        label="E-mail",
        max_length=254,
        error_messages={"required": NO_ADDRESS, "invalid": NO_ADDRESS},
    )
    organisation = OrganisationNameFilter(
        label="Organisation", max_length=LONGEST_ORGANISATION
    )
    external_id = ExternalIdFilter()
    view = ViewFilter("view")

    def set_choices(self, *, for_api: bool) -> None:
        self.offer_sources("source")
        self.filters["type"].extra["choices"] = lambda: type_choices(self.company)

    def searched(self, rows: LeadQuerySet) -> LeadQuerySet:  # type: ignore[override]
        return rows.search(self.search)

    def filter_by_step(self, leads: LeadQuerySet, name: str, step: str) -> LeadQuerySet:
        return leads.filter(has_reached(FunnelStep(step)))

    def filter_by_email(
        self, leads: LeadQuerySet, name: str, has_email: str
    ) -> LeadQuerySet:
        return (
            leads.exclude(email="") if has_email == "True" else leads.with_address("")
        )

    def filter_by_problem(
        self, leads: LeadQuerySet, name: str, problem: str
    ) -> LeadQuerySet:
        return leads.with_address_problem(AddressProblem(problem))


def _by_status(company: Company, is_descending: bool) -> Order:
    rows = LeadStatus.objects.for_company(company).order_by("position", "pk")
    return ByGroup("status_id", list(rows.values_list("pk", flat=True)), is_descending)


def _by_owner(company: Company, is_descending: bool) -> Order:
    """By the names of the members, those without an owner first."""
    return ByGroup(
        "owner_id",
        [None, *Membership.objects.for_company(company).user_ids_by_name()],
        is_descending,
    )


def owner_name(row: Any) -> str:
    return str(row.owner or "")


COLUMNS: Final = (
    Column(
        "name",
        "Name",
        by("last_name", "first_name"),
        is_fixed=True,
        cell="crm/lists/cells/name.html",
    ),
    Column(
        "status",
        "Status",
        _by_status,
        attrgetter("status"),
        is_fixed=True,
        cell="crm/lists/cells/status.html",
    ),
    Column(
        "organisation",
        "Organisation",
        by("organisation"),
        attrgetter("organisation"),
        cell="crm/lists/cells/organisation.html",
    ),
    Column("owner", "Owner", _by_owner, owner_name),
    Column("source", "Source", by("source"), attrgetter("source")),
    Column(
        "created", "Created", by("created_at"), attrgetter("created_at"), cell=DAY_CELL
    ),
    Column(
        "updated",
        "Last activity",
        by("updated_at"),
        attrgetter("updated_at"),
        is_default=False,
        cell=DAY_CELL,
    ),
    Column("title", "Job title", read=attrgetter("title"), is_default=False),
    Column("phone", "Phone", read=attrgetter("phone"), is_default=False),
    Column("type", "Type", read=attrgetter("type_name"), is_default=False),
)


def _current(company: Company, keys: Collection[int] | None = None) -> LeadQuerySet:
    return Lead.objects.for_company(company, keys=keys).current()


def _listed(leads: QuerySet[Any]) -> QuerySet[Any]:
    types = LeadType.objects.filter(company=OuterRef("company"), code=OuterRef("type"))
    named: QuerySet[Any] = leads.annotate(
        type_name=Coalesce(Subquery(types.values("name")), F("type"))
    )
    return named.select_related("status", "owner").prefetch_related("tags")


# In a file

TAGS: Final = "listed_tags"  # the attribute of an exported row with its tags
# In an attribute of its own. In the usual place, each row and its queryset would refer to each other. Only garbage
# collection frees such a cycle, and it is rare in a worker: one held 40 MB of them.
LISTED_TAGS: Final = Prefetch("tags", to_attr=TAGS)
EXTERNAL_IDS: Final = "listed_external_ids"
LISTED_EXTERNAL_IDS: Final = Prefetch("external_ids", to_attr=EXTERNAL_IDS)


def tag_names(row: Any) -> str:
    return BETWEEN.join(tag.name for tag in getattr(row, TAGS))


def external_ids(row: Any) -> str:
    """As the API has them, such as "hubspot:12345", with a blank between two: none has one in it."""
    return " ".join(map(str, getattr(row, EXTERNAL_IDS)))


def lead_columns(company: Company, *, with_archived: bool = False) -> list[FileColumn]:
    """The columns of leads in a file. Two queries."""
    types = {each.code: each.name for each in LeadType.objects.for_company(company)}
    custom = CustomField.objects.of(company, FieldSubject.LEAD)
    chosen = custom.not_removed() if with_archived else custom.in_use()
    return [
        FileColumn("Lead number", attrgetter("pk")),
        FileColumn("First name", attrgetter("first_name"), "name"),
        FileColumn("Last name", attrgetter("last_name"), "name"),
        FileColumn("E-mail", attrgetter("email")),
        FileColumn("Phone", attrgetter("phone"), "phone"),
        FileColumn("Organisation", attrgetter("organisation"), "organisation"),
        FileColumn("Job title", attrgetter("title"), "title"),
        FileColumn("Status", attrgetter("status.name"), "status"),
        FileColumn("Type", lambda lead: types.get(lead.type, lead.type), "type"),
        FileColumn("Source", attrgetter("source"), "source"),
        FileColumn("Owner", owner_name, "owner"),
        FileColumn("Tags", tag_names),
        FileColumn("May be shared", attrgetter("share_with_ad_platforms")),
        FileColumn("Background", attrgetter("notes")),
        *custom_file_columns(chosen),
        FileColumn("Created", attrgetter("created_at"), "created"),
        FileColumn("Last activity", attrgetter("updated_at"), "updated"),
        FileColumn("External ids", external_ids),
    ]


def leads_in_file(leads: QuerySet[Any]) -> QuerySet[Any]:
    """Related rows are fetched on their own, not joined: a thousand leads have a handful of owners and statuses."""
    return leads.prefetch_related("status", "owner", LISTED_TAGS, LISTED_EXTERNAL_IDS)


LEADS: Final = List(
    noun="lead",
    page="leads",
    rows=_current,
    filters=LeadFilter,
    columns=COLUMNS,
    subject=FieldSubject.LEAD,
    listed=_listed,
    default_order=ByFields(["created_at"]),
    file_columns=lead_columns,
    in_file=leads_in_file,
    has_views=True,
    also_in_file="e-mail, phone, consent, tags, custom fields and external ids",
)
