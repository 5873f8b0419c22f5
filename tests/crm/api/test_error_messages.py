"""When the API rejects a value, it says what to send instead, whichever serializer checks it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from rest_framework import serializers

from capi.api import serializers as _of_capi  # noqa: F401 - so that its serializers are known
from crm.api import attachments, bulk_change_bodies, custom_fields, notes, saved_views  # noqa: F401 - likewise
from crm.models import Company
from tests.crm.api.calling import caller

OF_DRF = re.compile(
    r"This (field|value|list|selection|dictionary)|Not a valid|Ensure|Expected|valid \w+ is|Must be|In"
)


def all_serializers(base: Any = serializers.Serializer) -> Iterator[Any]:
    for found in base.__subclasses__():
        yield from all_serializers(found)
        if found.__module__.startswith(("crm.", "capi.")) and not is_base(found):
            yield found


def is_base(kind: Any) -> bool:
    return issubclass(kind, serializers.ModelSerializer) and not hasattr(kind, "Meta")


def written_fields(serializer: Any) -> Iterator[Any]:
    """The serializer and all fields that a request may have, nested ones included."""
    left = [serializer]
    while left:
        field = left.pop()
        yield field
        left += [
            each for each in getattr(field, "fields", {}).values() if not each.read_only
        ]
        left += [field.child] if hasattr(field, "child") else []


def test_no_field_has_words_of_drf() -> None:
    found = {
        (type(serializer).__name__, type(field).__name__, message)
        for serializer in (kind() for kind in all_serializers())
        for field in written_fields(serializer)
        for message in map(str, field.error_messages.values())
        if OF_DRF.match(message)
    }

    assert not found


OBJECT, LIST = (
    "Enter an object, in curly brackets.",
    "Enter a list, in square brackets.",
)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ([], {"non_field_errors": [OBJECT]}),
        (
            {"filters": []},
            {"name": ["Enter a value: this field is required."], "filters": [OBJECT]},
        ),
        (
            {"name": 1, "columns": "phone"},
            {"name": ["Enter a string."], "columns": [LIST]},
        ),
        (
            {"name": None, "is_shared": 1},
            {
                "name": ["Enter a value, not null."],
                "is_shared": ["Enter true or false."],
            },
        ),
    ],
)
def test_an_answer_says_what_to_send(company: Company, body: Any, answer: Any) -> None:
    refused = caller(company).post("/api/v1/saved-views/", body)

    assert (refused.status_code, refused.json()) == (400, answer)
