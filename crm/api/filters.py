"""Filters of the API, by e-mail address."""

from typing import Any, Final, Protocol

from django import forms
from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field

from crm.api.fields import NO_ADDRESS
from crm.models import Company, Lead
from crm.models.lead import LeadQuerySet


class AddressField(forms.EmailField):
    """An optional e-mail address. Rejects an empty one, which would match every lead."""

    default_error_messages = {"required": NO_ADDRESS, "invalid": NO_ADDRESS}

    def clean(self, value: Any) -> Any:
        self.required = value is not None
        return super().clean(value)


ADDRESS_IN_SCHEMA: Final = {
    "type": "string",
    "format": "email",
    "maxLength": 254,
    "description": "Exactly this e-mail address, ignoring case.",
}


@extend_schema_field(ADDRESS_IN_SCHEMA)
class AddressFilter(filters.CharFilter):  # type: ignore[misc]
    """Compares in the same way as the index of addresses."""

    field_class = AddressField

    def filter(self, leads: LeadQuerySet, address: str) -> LeadQuerySet:
        return leads.with_address(address) if address else leads


class LeadFilter(filters.FilterSet):  # type: ignore[misc]
    """`?email=`. An invalid address is a 400."""

    email = AddressFilter(max_length=254)

    class Meta:
        model = Lead
        fields = ("email",)


class ByCompany(Protocol):
    """A queryset that can be limited to one company. Used by crm and capi."""

    def for_company(self, company: Company) -> QuerySet[Any]: ...
