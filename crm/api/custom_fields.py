"""`/api/v1/custom-fields/`: the custom fields of leads and deals, which admins may change."""

from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError as ModelError
from django.db import transaction
from rest_framework import serializers

from crm.api.error_messages import REQUIRED
from crm.api.fields import Switch, Text
from crm.api.serializers import StrictSerializer, model_errors_answered, one_of
from crm.api.views import WritableViewSet
from crm.models import CustomField, FieldSubject, FieldType
from crm.models.custom_field import (
    LONGEST_CHOICE,
    LONGEST_KEY,
    WITH_CHOICES,
    changed_choices,
)
from crm.models.roles import Action
from crm.models.scopes import Noun
from crm.services.custom_fields import (
    add_field,
    change_field,
    delete_field,
    set_archived,
)

FIXED: Final = ("subject", "type")
IS_ARCHIVED: Final = "is_archived"


class ChoiceSerializer(serializers.Serializer[Any]):
    """A choice. Without a key, it is a new one. Existing choices that are left out are archived."""

    key = Text(required=False, max_length=LONGEST_KEY)
    label = Text(max_length=LONGEST_CHOICE)  # type: ignore[assignment]  # fields have an attribute of this name
    is_archived = Switch(required=False)

    def to_internal_value(self, data: Any) -> Any:
        unknown = data.keys() - self.fields.keys() if isinstance(data, Mapping) else ()
        if unknown:
            raise serializers.ValidationError(
                "A choice has a key, a label and is_archived, and nothing else."
            )
        entered = super().to_internal_value(data)
        if "label" not in entered:  # DRF requires it only in a POST or PUT
            raise serializers.ValidationError({"label": [REQUIRED]})
        return entered


class CustomFieldSerializer(StrictSerializer[CustomField]):
    """A custom field. `key` is made from the name, and identifies it in the object `custom` of leads or deals."""

    choices = ChoiceSerializer(many=True, required=False)
    is_archived = Switch(required=False)

    class Meta:
        model = CustomField
        fields = (
            "id",
            "subject",
            "key",
            "name",
            "type",
            "help_text",
            "is_required",
            "is_listed",
            "choices",
            "is_archived",
            "position",
            "created_at",
        )
        read_only_fields = ("id", "key", "position", "created_at")
        extra_kwargs = {"subject": one_of(FieldSubject), "type": one_of(FieldType)}

    def validate(self, attrs: Any) -> Any:
        labels = _labels(attrs.pop("choices", None))
        self._check_fixed(attrs)
        if labels is not None or (
            attrs.get("type") in WITH_CHOICES and self.instance is None
        ):
            self._check_choices(labels or [])
        return {**super().validate(attrs), "choices": labels}

    def _check_fixed(self, attrs: Any) -> None:
        if self.instance is None:
            return
        for name in FIXED:
            if attrs.get(name) not in (None, getattr(self.instance, name)):
                raise serializers.ValidationError(
                    {name: ["This can't change. Add another field."]}
                )

    def _check_choices(self, labels: list[tuple[str, str]]) -> None:
        try:
            changed_choices(getattr(self.instance, "choices", []), labels)
        except ModelError as error:
            raise serializers.ValidationError({"choices": error.messages}) from error

    def _candidate(self, attrs: Any) -> CustomField:
        return super()._candidate(
            {name: value for name, value in attrs.items() if name != IS_ARCHIVED}
        )

    @transaction.atomic
    def create(self, validated_data: Any) -> CustomField:
        labels, is_archived = (
            validated_data.pop("choices"),
            validated_data.pop(IS_ARCHIVED, False),
        )
        with model_errors_answered():
            field = add_field(
                field=CustomField(company=self.company, **validated_data),
                labels=labels or (),
            )
        return self._archived(field, is_archived)

    @transaction.atomic
    def update(self, instance: CustomField, validated_data: Any) -> CustomField:
        labels = validated_data.pop("choices")
        is_archived = validated_data.pop(IS_ARCHIVED, None)
        for name, value in validated_data.items():
            setattr(instance, name, value)
        with model_errors_answered():
            field = change_field(
                field=instance, fields=[*validated_data], labels=labels
            )
        return self._archived(field, is_archived)

    def _archived(self, field: CustomField, is_archived: bool | None) -> CustomField:
        """The field as it is now, after it was archived or used again, if that was asked for."""
        if is_archived is not None:
            set_archived(field=field, archived=is_archived)
        field.refresh_from_db()
        return field


def _labels(choices: Any) -> list[tuple[str, str]] | None:
    """The choices to offer, as pairs of key and label."""
    if choices is None:
        return None
    return [
        (choice.get("key", ""), choice["label"])
        for choice in choices
        if not choice.get(IS_ARCHIVED)
    ]


class CustomFieldViewSet(WritableViewSet[CustomField]):
    """The company's custom fields, newest first. Archived ones keep their values. Deleting one deletes its values."""

    queryset = CustomField.objects.not_removed()
    serializer_class = CustomFieldSerializer
    nouns = (Noun.LISTS,)
    actions = {
        "list": Action.SEE_LEADS,
        "retrieve": Action.SEE_LEADS,
        "create": Action.MANAGE_COMPANY,
        "update": Action.MANAGE_COMPANY,
        "partial_update": Action.MANAGE_COMPANY,
        "destroy": Action.MANAGE_COMPANY,
    }

    def perform_destroy(self, instance: Any) -> None:
        delete_field(field=instance)
