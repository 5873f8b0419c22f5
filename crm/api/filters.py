"""Finding the lead that a script knows by its address."""

from typing import Any, Final, Protocol

from django import forms
from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field

from crm.api.fields import NO_ADDRESS
from crm.models import Company, Lead
from crm.models.lead import LeadQuerySet


class GivenAddress(forms.EmailField):
    """An address, where the parameter is there at all. An empty one is refused: it would find every lead."""

    default_error_messages = {"required": NO_ADDRESS, "invalid": NO_ADDRESS}

    def clean(self, value: Any) -> Any:
        self.required = value is not None
        return super().clean(value)


ADDRESS_IN_SCHEMA: Final = {
    "type": "string",
    "format": "email",
    "maxLength": 254,
    "description": "Exactly this e-mail address, without regard to case.",
}


@extend_schema_field(ADDRESS_IN_SCHEMA)
class AddressFilter(filters.CharFilter):  # type: ignore[misc]
    """Compares as the index of addresses does."""

    field_class = GivenAddress

    def filter(self, leads: LeadQuerySet, address: str) -> LeadQuerySet:
        return leads.with_address(address) if address else leads


class LeadFilter(filters.FilterSet):  # type: ignore[misc]
    """`?email=`. What can't be an address is a 400."""

    email = AddressFilter(max_length=254)

    class Meta:
        model = Lead
        fields = ("email",)


# --- What the API asks of every queryset, crm's and capi's alike.


class ByCompany(Protocol):
    """Rows that can be narrowed to one company's."""

    def for_company(self, company: Company) -> QuerySet[Any]: ...
