"""The bodies of `/api/v1/leads/{id}/erasure/`: erasing a person, and other leads that may be the same one."""

from typing import Any, Final

from rest_framework import serializers

from crm.api.serializers import StrictBody
from crm.models.validators import MAX_ID
from crm.selectors.erasure import SHOWN_AT_MOST, Namesake

NOT_ALIKE: Final = "Not a lead with the same name or address: {}."


class NamesakeSerializer(serializers.Serializer[Namesake]):
    """Another lead with the same name or address."""

    id = serializers.IntegerField(source="lead.pk")
    name = serializers.CharField(source="lead.name")
    email = serializers.CharField(source="lead.email")
    organisation = serializers.CharField(source="lead.organisation")
    has_name = serializers.BooleanField()
    has_address = serializers.BooleanField()


class ErasureSerializer(StrictBody):
    """`also` has the ids of other leads to erase in the same step, of those that GET lists."""

    also = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=MAX_ID),
        required=False,
        max_length=SHOWN_AT_MOST,
    )

    def validate_also(self, pks: list[int]) -> list[int]:
        """Raise ValidationError for a lead that has neither the name nor the address."""
        others = sorted(set(pks) - {each.lead.pk for each in self.context["namesakes"]})
        if others:
            raise serializers.ValidationError(
                f"Not a lead with the same name or address: {', '.join(map(str, others))}."
            )
        return pks


class ErasureStateSerializer(serializers.Serializer[Any]):
    """`erased` has the ids of the leads that were erased, `others` the leads with the same name or address."""

    erased = serializers.ListField(child=serializers.IntegerField())
    others = NamesakeSerializer(many=True)
