"""Finding events of one rule, lead or deal, or in one state. Ids are compared and never looked up."""

from django_filters import rest_framework as filters

from capi.models import ConversionEvent
from capi.reasons import State

BIGGEST_ID = 2**63 - 1


def _id(name: str) -> filters.NumberFilter:
    return filters.NumberFilter(field_name=f"{name}_id", min_value=1, max_value=BIGGEST_ID, decimal_places=0)


class ConversionEventFilter(filters.FilterSet):  # type: ignore[misc]
    """`?rule=`, `?lead=`, `?deal=`, `?state=`. A value that can't be one is a 400."""

    rule, lead, deal = _id("rule"), _id("lead"), _id("deal")
    state = filters.ChoiceFilter(choices=State.choices)

    class Meta:
        model = ConversionEvent
        fields = ("rule", "lead", "deal", "state")
