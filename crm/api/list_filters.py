"""The filters of the leads page for the API: those of a saved view, and of a bulk change."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.forms import BaseForm
from django.utils import timezone
from django_filters import FilterSet
from rest_framework import serializers

from crm.api.authentication import Caller
from crm.api.fields import Text
from crm.forms.filters import LeadFilter, SearchForm
from crm.models import FieldSubject
from crm.models.lead import LeadQuerySet
from crm.selectors.custom_fields import fields_in_use

SEARCH: Final = "search"
LONGEST_VALUE: Final = 200  # characters
NO_FILTER: Final = "There is no such filter."
NOT_KEPT: Final = "A view doesn't keep what is searched for: that is personal data."


@dataclass(frozen=True, slots=True)
class ApiFilterRequest:
    """What the filters of the page have to know of a request. An API key has a company as a member has."""

    membership: Caller


class ListFiltersField(serializers.DictField):
    """The filters of the leads page by their names in its address. An empty value would match every lead."""

    child = Text(max_length=LONGEST_VALUE)

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            # Errors repeat the names, but can't contain a lone surrogate.
            data = {str(name).encode("utf-8", "replace").decode(): value for name, value in data.items()}
        return super().to_internal_value(data)


def list_filter(caller: Caller, filters: Mapping[str, str], leads: LeadQuerySet) -> LeadFilter:
    """The filter of the page, applied to these leads. Search texts are in `filters` as they are, not as keys."""
    return LeadFilter(
        dict(filters),
        custom_fields=fields_in_use(caller.company, FieldSubject.LEAD),
        queryset=leads,
        request=ApiFilterRequest(caller),
        recall=str,
    )


def filtered(caller: Caller, found: LeadFilter) -> LeadQuerySet:
    """The leads that the filter finds. Its days are in the company's time zone."""
    with timezone.override(caller.company.time_zone):
        leads: LeadQuerySet = found.qs
    return leads


def check_filters(found: FilterSet, filters: Mapping[str, str], *, keeps_texts: bool) -> None:
    """Raise ValidationError for an unknown filter or an invalid value: ignoring it would match more leads.

    `keeps_texts`: search texts are allowed.
    """
    errors: dict[str, list[str]] = {}
    custom = found.custom if isinstance(found, LeadFilter) else {}
    for name in filters:
        is_text = name == SEARCH or (name in custom and custom[name].is_text)
        if is_text and not keeps_texts:
            errors[name] = [NOT_KEPT]
        elif name == SEARCH:
            errors |= _messages(SearchForm(dict(filters)), name)
        elif name not in found.filters:
            errors[name] = [NO_FILTER]
        else:
            errors |= _messages(found.form, name)
    if errors:
        raise serializers.ValidationError(errors)


def _messages(form: BaseForm, name: str) -> dict[str, list[str]]:
    return {name: [str(message) for message in form.errors[name]]} if name in form.errors else {}
