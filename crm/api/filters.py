"""The lists of the API: filters, and keyset pagination."""

from typing import Any, Final, Protocol

from django import forms
from django.db.models import QuerySet
from django.db.models.functions import Coalesce
from django_filters import rest_framework as filters
from django_filters.fields import ChoiceField
from drf_spectacular.utils import extend_schema_field
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

from crm.api.list_filters import filtered, list_filter
from crm.forms.leads import PersonAddressField
from crm.forms.organisations import LONGEST_NAME
from crm.models import Company, Deal, Lead, Membership, Pipeline, SavedView, Task
from crm.models.addresses import NO_ADDRESS
from crm.models.deal import DealQuerySet
from crm.models.lead import LeadQuerySet
from crm.models.validators import MAX_ID, is_number
from crm.selectors.deal_people import deals_with


class NotEmpty(forms.Field):
    """Optional, but an empty value is rejected: it would match every row."""

    def clean(self, value: Any) -> Any:
        self.required = value is not None
        return super().clean(value)


class AddressFilterField(NotEmpty, PersonAddressField):
    default_error_messages = {"required": NO_ADDRESS, "invalid": NO_ADDRESS}


ADDRESS_IN_SCHEMA: Final = {
    "type": "string",
    "format": "email",
    "maxLength": 254,
    "description": "Exactly this e-mail address, ignoring case.",
}


@extend_schema_field(ADDRESS_IN_SCHEMA)
class AddressFilter(filters.CharFilter):  # type: ignore[misc]
    """Compares in the same way as the index of addresses.

    A lead that was merged into another one is found as that: it is the same person.
    """

    field_class = AddressFilterField

    def filter(self, leads: LeadQuerySet, address: str) -> LeadQuerySet:
        if not address:
            return leads
        known = Lead.objects.for_company(self.parent.request.auth.company).with_address(address)
        return leads.filter(pk__in=known.values_list(Coalesce("merged_into", "pk")))


class TextField(NotEmpty, forms.CharField):
    pass


class OrganisationFilter(filters.CharFilter):  # type: ignore[misc]
    """The leads of the organisation with this name, ignoring case and blanks."""

    field_class = TextField

    def filter(self, leads: LeadQuerySet, name: str) -> LeadQuerySet:
        return leads.of_organisation(name) if name else leads


class StrictBoolean(forms.Field):
    """true or false, in the words of JSON."""

    def clean(self, value: Any) -> bool | None:
        if value not in (None, "true", "false"):
            raise forms.ValidationError("Enter true or false.")
        return None if value is None else value == "true"


@extend_schema_field({"type": "boolean"})
class DoneFilter(filters.Filter):  # type: ignore[misc]
    """Tasks that are done, or those that are not."""

    field_class = StrictBoolean

    def filter(self, tasks: QuerySet[Task], value: bool | None) -> QuerySet[Task]:
        return tasks if value is None else tasks.exclude(done_at=None) if value else tasks.filter(done_at=None)


class IdField(NotEmpty, forms.IntegerField):
    pass


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": MAX_ID})
class IdFilter(filters.Filter):  # type: ignore[misc]
    """A row's id, which is not looked up: one that no row has, or only another company's, matches nothing."""

    field_class = IdField

    def __init__(self, name: str) -> None:
        super().__init__(field_name=f"{name}_id", min_value=1, max_value=MAX_ID)


class PipelineFilter(IdFilter):
    """The id of a pipeline, which finds the deals in its stages."""

    def filter(self, deals: DealQuerySet, pk: int | None) -> DealQuerySet:
        if pk is None:
            return deals
        pipeline = Pipeline.objects.filter(pk=pk).first()
        return deals.in_pipeline(pipeline) if pipeline else deals.none()


class PersonFilter(IdFilter):
    """The id of a lead, which finds the deals that have it as their lead or among their further people."""

    def filter(self, deals: DealQuerySet, pk: int | None) -> DealQuerySet:
        return deals if pk is None else deals.filter(pk__in=deals_with(self.parent.request.auth.company, [pk]))


VIEW: Final = "view"
VIEW_IS_BROKEN: Final = "A filter of this view no longer works: {}. Change the view, or choose another."


class ViewFilter(IdFilter):
    """The id of a saved view, which finds the leads that its filters find on the page.

    One that the caller doesn't see matches nothing. Raises ValidationError if a filter of it no longer works.
    """

    def filter(self, leads: LeadQuerySet, pk: int | None) -> LeadQuerySet:
        if pk is None:
            return leads
        caller = self.parent.request.auth
        view = SavedView.objects.visible_to(caller).filter(pk=pk).first()
        if view is None:
            return leads.none()
        found = list_filter(caller, view.filters, leads)
        if found.broken:
            reasons = ", ".join(dict.fromkeys(found.broken.values()))
            raise ValidationError({VIEW: [VIEW_IS_BROKEN.format(reasons)]})
        return filtered(caller, found)


class LeadFilter(filters.FilterSet):  # type: ignore[misc]
    """`?email=`, `?organisation=`, `?view=`. An invalid value is a 400."""

    email = AddressFilter(max_length=254)
    organisation = OrganisationFilter(max_length=LONGEST_NAME)
    view = ViewFilter(VIEW)

    class Meta:
        model = Lead
        fields = ("email", "organisation", "view")


class NotEmptyChoiceField(NotEmpty, ChoiceField):  # type: ignore[misc]
    pass


class OneOfFilter(filters.ChoiceFilter):  # type: ignore[misc]
    field_class = NotEmptyChoiceField


class DealFilter(filters.FilterSet):  # type: ignore[misc]
    """`?lead=`, `?person=`, `?owner=`, `?stage=`, `?pipeline=`, `?lost_reason=`. An invalid value is a 400."""

    lead, owner, stage, lost_reason = (IdFilter(name) for name in ("lead", "owner", "stage", "lost_reason"))
    person = PersonFilter("person")
    pipeline = PipelineFilter("stage__pipeline")

    class Meta:
        model = Deal
        fields = ("lead", "person", "owner", "stage", "pipeline", "lost_reason")


class TaskFilter(filters.FilterSet):  # type: ignore[misc]
    """`?owner=`, `?lead=`, `?deal=`, `?is_done=`. An invalid value is a 400."""

    owner, lead, deal = IdFilter("owner"), IdFilter("lead"), IdFilter("deal")
    is_done = DoneFilter()

    class Meta:
        model = Task
        fields = ("owner", "lead", "deal", "is_done")


class ByCompany(Protocol):
    """A queryset that can be limited to one company. Used by crm and capi."""

    def for_company(self, company: Company) -> QuerySet[Any]: ...


SESSION_PAGE_SIZE: Final = 100


class KeysetPagination(CursorPagination):
    """Newest first: every page costs the same, and new rows don't shift the pages.

    Follow `next` and `previous`; `?page_size=` can be up to 500, and 100 for a session, as on the pages.

    Raises NotFound for an invalid cursor and ValidationError for an invalid page size.
    """

    ordering = "-pk"
    page_size_query_param = "page_size"
    max_page_size = 500

    def get_page_size(self, request: Request) -> int | None:
        page_size = request.query_params.get(self.page_size_query_param)
        if page_size is not None and not (is_number(page_size) and 1 <= int(page_size) <= self.max_page_size):
            raise ValidationError({self.page_size_query_param: ["Enter a whole number from 1 to 500."]})
        size = super().get_page_size(request)
        return min(size, SESSION_PAGE_SIZE) if size and isinstance(request.auth, Membership) else size

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """The parameters for the OpenAPI schema, with the limits of `get_page_size`."""
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            if parameter["name"] == self.page_size_query_param:
                parameter["schema"] |= {"minimum": 1, "maximum": self.max_page_size}
        return parameters

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """A page for the OpenAPI schema."""
        page: dict[str, Any] = super().get_paginated_response_schema(schema)
        for name in ("next", "previous"):
            # DRF's example is no URI by the format that it names.
            del page["properties"][name]["example"]
        return page

    def decode_cursor(self, request: Request) -> Cursor | None:
        if not request.query_params.get(self.cursor_query_param):  # like a missing one: the first page
            return None
        cursor = super().decode_cursor(request)
        # The position is compared with an id: 18 digits fit every database's integer. Our cursors always have one. A
        # garbled cursor without would give the first page, and a client that follows `next` would never reach the end.
        if cursor is not None and not is_number(str(cursor.position)):
            raise NotFound(self.invalid_cursor_message)
        return cursor
