"""Filters for events: by rule, lead, deal or state. Ids are compared, never looked up."""

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field

from capi.models import ConversionEvent
from capi.models.choices import State

MAX_ID = 2**63 - 1


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": MAX_ID})
class IdFilter(filters.NumberFilter):  # type: ignore[misc]
    """Compares an id without looking it up."""

    def __init__(self, name: str) -> None:
        super().__init__(field_name=f"{name}_id", min_value=1, max_value=MAX_ID, decimal_places=0)


class ConversionEventFilter(filters.FilterSet):  # type: ignore[misc]
    """`?rule=`, `?lead=`, `?deal=`, `?state=`. An invalid value is a 400."""

    rule, lead, deal = IdFilter("rule"), IdFilter("lead"), IdFilter("deal")
    state = filters.ChoiceFilter(choices=State.choices)

    class Meta:
        model = ConversionEvent
        fields = ("rule", "lead", "deal", "state")
