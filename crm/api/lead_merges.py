"""The body of a merge: which lead goes, and what the kept one takes from it."""

from rest_framework import serializers

from crm.api.fields import LeadField, Text
from crm.api.serializers import StrictBody
from crm.models import CustomField, FieldSubject
from crm.models.merge_fields import CHOSEN, CUSTOM


class MergeSerializer(StrictBody):
    """`take` names the fields whose values are taken from the lead that goes, custom ones as `custom.key`."""

    lead = LeadField(with_merged=True)  # a script may repeat a request whose response was lost
    take = serializers.ListField(child=Text(max_length=80), required=False, max_length=100)

    def validate_take(self, names: list[str]) -> list[str]:
        """Raise ValidationError unless all of them are fields that can be chosen."""
        company = self.context["request"].auth.company
        keys = CustomField.objects.of(company, FieldSubject.LEAD).in_use().values_list("key", flat=True)
        fields = [*CHOSEN, *(f"{CUSTOM}{key}" for key in keys)]
        if set(names) - set(fields):
            raise serializers.ValidationError(f"Choose from: {', '.join(fields)}.")
        return names
