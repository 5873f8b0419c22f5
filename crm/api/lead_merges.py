"""The body of a merge: which lead goes, and what the kept one takes from it."""

from rest_framework import serializers

from crm.api.fields import OwnRowField, Text
from crm.api.serializers import StrictBody
from crm.models import CustomField, FieldSubject, Lead
from crm.models.merge_fields import CHOSEN, CUSTOM


class MergeSerializer(StrictBody):
    """`take` names the fields whose values are those of the lead that goes, custom ones as `custom.key`."""

    lead = OwnRowField(  # with those that were merged: a script may repeat a request whose response was lost
        rows=lambda company: Lead.objects.for_company(company).filter(erased_at=None),
        otherwise="Choose one of your company's leads.",
    )
    take = serializers.ListField(child=Text(max_length=80), required=False, max_length=100)

    def validate_take(self, names: list[str]) -> list[str]:
        """Raise ValidationError unless all of them are fields that can be chosen."""
        company = self.context["request"].auth.company
        keys = CustomField.objects.of(company, FieldSubject.LEAD).in_use().values_list("key", flat=True)
        fields = [*CHOSEN, *(f"{CUSTOM}{key}" for key in keys)]
        if set(names) - set(fields):
            raise serializers.ValidationError(f"Choose from: {', '.join(fields)}.")
        return names
