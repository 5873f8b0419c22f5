"""Finding events of one rule, lead or deal, or in one state. Ids are compared and never looked up."""

from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema_field

from capi.models import ConversionEvent
from capi.models.choices import State

BIGGEST_ID = 2**63 - 1


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": BIGGEST_ID})
class IdFilter(filters.NumberFilter):  # type: ignore[misc]
    """An id that is compared with and looked up nowhere."""

    def __init__(self, name: str) -> None:
        super().__init__(field_name=f"{name}_id", min_value=1, max_value=BIGGEST_ID, decimal_places=0)


class ConversionEventFilter(filters.FilterSet):  # type: ignore[misc]
    """`?rule=`, `?lead=`, `?deal=`, `?state=`. A value that can't be one is a 400."""

    rule, lead, deal = IdFilter("rule"), IdFilter("lead"), IdFilter("deal")
    state = filters.ChoiceFilter(choices=State.choices)

    class Meta:
        model = ConversionEvent
        fields = ("rule", "lead", "deal", "state")
