"""A serializer that takes what it names and nothing else, and writes what was given and nothing else."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from typing import Any, TypeVar

from django.core.exceptions import NON_FIELD_ERRORS
from django.core.exceptions import ValidationError as ModelError
from django.db import models
from django.db.models import Model, TextChoices
from rest_framework import serializers
from rest_framework.settings import api_settings

from crm.api.fields import Amount, EmailText, Switch, Text
from crm.models import Company

M = TypeVar("M", bound=Model)


class StrictSerializer(serializers.ModelSerializer[M]):
    """Checks with the model's own `clean()`. Raises ValidationError (400) for keys that can't be written, by name."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.BooleanField: Switch,
        models.CharField: Text,
        models.DecimalField: Amount,
        models.EmailField: EmailText,
        models.TextField: Text,
    }

    @property
    def company(self) -> Company:
        """The caller's company, which is never a field."""
        company: Company = self.context["request"].auth.company
        return company

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            self._refuse_what_cannot_be_written(data)
        return super().to_internal_value(data)

    def _refuse_what_cannot_be_written(self, data: Mapping[str, Any]) -> None:
        errors = {}
        for key in data:
            field = self.fields.get(key)
            if field is None:
                # The key goes back in the answer: half a surrogate pair can't.
                errors[key.encode("utf-8", "replace").decode()] = ["There is no such field."]
            elif field.read_only:
                errors[key] = ["This field can't be written."]
        if errors:
            raise serializers.ValidationError(errors)

    def validate(self, attrs: Any) -> Any:
        candidate = self._candidate(attrs)
        with model_errors_answered():
            candidate.clean()
        return attrs

    def _candidate(self, attrs: Mapping[str, Any]) -> M:
        """What the row would be, without touching the one that is."""
        instance = self.instance
        candidate: M = copy(instance) if isinstance(instance, Model) else self.new()
        for name, value in attrs.items():
            setattr(candidate, name, value)
        return candidate

    def new(self) -> M:
        """An empty row of the caller's company."""
        model: type[M] = self.Meta.model
        return model(company=self.company)

    def create(self, validated_data: Any) -> M:
        return super().create({**validated_data, "company": self.company})

    def update(self, instance: M, validated_data: Any) -> M:
        for name, value in validated_data.items():
            setattr(instance, name, value)
        if validated_data:
            # Only what was given: whatever else changed meanwhile stays.
            instance.save(update_fields=[*validated_data, "updated_at"])
        return instance


@contextmanager
def model_errors_answered() -> Iterator[None]:
    """Turn what a model or a service refuses into the API's 400, under the API's own names."""
    try:
        yield
    except ModelError as error:
        found = serializers.as_serializer_error(error)
        if NON_FIELD_ERRORS in found:
            found[api_settings.NON_FIELD_ERRORS_KEY] = found.pop(NON_FIELD_ERRORS)
        raise serializers.ValidationError(found) from error


def one_of(choices: type[TextChoices]) -> dict[str, Any]:
    """The options of a field with these choices: its refusal names them and repeats nothing."""
    return {"error_messages": {"invalid_choice": f"Choose one of: {', '.join(choices.values)}."}}
