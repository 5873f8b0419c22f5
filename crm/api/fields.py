"""References to other rows of the same company."""

from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from rest_framework import serializers

from crm.models import Company


class OwnRowField(serializers.PrimaryKeyRelatedField[Any]):
    """The id of one of the company's `rows`. Another company's id is as unknown as one that nobody has.

    `otherwise` is what the caller reads then.
    """

    def __init__(self, *, rows: Callable[[Company], QuerySet[Any]], otherwise: str, **kwargs: Any) -> None:
        self.rows = rows
        # An IntegerField first: an id is a whole number, not 1.5, "1e999" or true.
        super().__init__(pk_field=serializers.IntegerField(), error_messages={"does_not_exist": otherwise}, **kwargs)

    def get_queryset(self) -> QuerySet[Any]:
        return self.rows(self.context["request"].auth.company)
