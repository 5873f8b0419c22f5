"""The list `external_ids` of leads and deals: what they are called in other systems."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from django.core.exceptions import ValidationError as ModelError
from django.db import transaction
from django.db.models import Model
from rest_framework import serializers

from crm.api.fields import Text
from crm.models.external_id import LONGEST, NOT_AN_EXTERNAL_ID, PATTERN, Reference
from crm.services.external_ids import (
    EXTERNAL_IDS_AT_MOST,
    add_external_ids,
    replace_external_ids,
)

M = TypeVar("M", bound=Model)
EXTERNAL_IDS: Final = "external_ids"


class ExternalIdText(Text):
    """An id with its system, such as `hubspot:12345`."""

    default_error_messages = {"not_an_external_id": NOT_AN_EXTERNAL_ID}

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        if not re.fullmatch(PATTERN, text):
            self.fail("not_an_external_id")
        return text


class ExternalIds(serializers.ListField):
    """A lead's or deal's ids in other systems. Written, they replace those that it has."""

    child = ExternalIdText(max_length=LONGEST)

    def to_representation(self, data: Any) -> list[str]:
        return [str(each) for each in data.all()]

    def to_internal_value(self, data: Any) -> list[Any]:
        texts = dict.fromkeys(super().to_internal_value(data))
        return [Reference.parse(text) for text in texts]


class WithExternalIds(serializers.ModelSerializer[M]):
    """A lead or deal with `external_ids`."""

    external_ids = ExternalIds(required=False, max_length=EXTERNAL_IDS_AT_MOST)

    def _candidate(self, attrs: Mapping[str, Any]) -> M:
        others = {name: value for name, value in attrs.items() if name != EXTERNAL_IDS}
        candidate: M = super()._candidate(others)  # type: ignore[misc]  # of StrictSerializer
        return candidate

    def create(self, validated_data: Any) -> M:
        ids = validated_data.pop(EXTERNAL_IDS, [])
        with transaction.atomic():
            row: Any = super().create(validated_data)
            if ids:
                with _taken_answered():
                    add_external_ids(row=row, ids=ids)
        added: M = row
        return added

    def update(self, instance: M, validated_data: Any) -> M:
        ids = validated_data.pop(EXTERNAL_IDS, None)
        if ids is None:
            return super().update(instance, validated_data)
        with transaction.atomic():
            row: Any = super().update(instance, validated_data)
            with _taken_answered():
                replace_external_ids(row=row, ids=ids)
        updated: M = row
        return updated


@contextmanager
def _taken_answered() -> Iterator[None]:
    """Turn the service's ValidationError into the API's 400."""
    try:
        yield
    except ModelError as error:
        raise serializers.ValidationError(error.message_dict) from error
