"""Strict serializer fields, and references to rows of the same company."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from crm.models import Company, Deal, Lead, LeadType
from crm.models.addresses import without_formats
from crm.models.picklist import FIRST_TYPE
from crm.models.validators import MAX_ID


class Text(serializers.CharField):
    """A string. Rejects numbers and booleans, which DRF would convert."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class EmailText(Text, serializers.EmailField):
    """An e-mail address."""

    def to_internal_value(self, data: Any) -> str:
        return super().to_internal_value(
            without_formats(data) if isinstance(data, str) else data
        )


class Switch(serializers.BooleanField):
    """true or false. Rejects the strings that a form would send."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class WholeNumber(serializers.IntegerField):
    """A whole number. Rejects the strings and fractions that DRF would convert."""

    default_error_messages = {"invalid": "Enter a whole number, without quotes."}

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class Moment(serializers.DateTimeField):
    """A date and time with its offset from UTC. Rejects one without: DRF would take it for UTC."""

    default_error_messages = {
        "no_offset": "Write it with its offset from UTC, as in 2027-02-01T09:30:00Z."
    }

    def enforce_timezone(self, value: datetime) -> datetime:
        if value.tzinfo is None:
            self.fail("no_offset")
        return super().enforce_timezone(value)


# OpenAPI's format "time" is for a time with an offset from UTC.
@extend_schema_field({"type": "string", "example": "14:30"})
class TimeOfDay(serializers.TimeField):
    """A time of a day, in the time zone of the company."""


@extend_schema_field(
    {
        "format": "decimal",
        "oneOf": [
            {"type": "string", "pattern": r"^\d{1,12}(\.\d{0,2})?$"},
            {"type": "number", "minimum": 0},
        ],
    }
)
class Amount(serializers.DecimalField):
    """An amount of money: a string, which no program rounds, or a number."""


class OwnRowField(serializers.PrimaryKeyRelatedField[Any]):
    """The id of one of the company's `rows`. Another company's id gets the same error as an unknown one.

    `otherwise` is the error message.
    """

    def __init__(
        self, *, rows: Callable[[Company], QuerySet[Any]], otherwise: str, **kwargs: Any
    ) -> None:
        self.rows = rows
        # IntegerField, because an id is a whole number, not 1.5, "1e999" or true.
        super().__init__(
            pk_field=serializers.IntegerField(),
            error_messages={"does_not_exist": otherwise},
            **kwargs,
        )

    def get_queryset(self) -> QuerySet[Any]:
        return self.rows(self.context["request"].auth.company)


class LeadField(OwnRowField):
    """The id of one of the company's leads: of one that was merged into another only `with_merged`."""

    def __init__(self, *, with_merged: bool = False, **kwargs: Any) -> None:
        def rows(company: Company) -> QuerySet[Any]:
            own = Lead.objects.for_company(company)
            return own.filter(erased_at=None) if with_merged else own.current()

        super().__init__(
            rows=rows, otherwise="Choose one of your company's leads.", **kwargs
        )


class PeopleField(serializers.ListField):
    """The ids of a deal's further people, in the order of their ids. Written, they replace those that it has."""

    child = WholeNumber(min_value=1, max_value=MAX_ID)
    default_error_messages = {
        "not_yours": "Your company has no lead with the id {id}. Choose another one."
    }

    def to_internal_value(self, data: Any) -> list[int]:
        ids = list(dict.fromkeys(super().to_internal_value(data)))
        own = Lead.objects.for_company(self.context["request"].auth.company).current()
        found = set(own.filter(pk__in=ids).values_list("pk", flat=True))
        for pk in ids:
            if pk not in found:
                self.fail("not_yours", id=pk)
        return ids

    def to_representation(self, data: Any) -> list[int]:
        return sorted(
            lead.pk for lead in data.all() if lead.pk != data.instance.lead_id
        )


class DealField(OwnRowField):
    """The id of one of the company's deals, which is read with its lead."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            rows=self._deals, otherwise="Choose one of your company's deals.", **kwargs
        )

    @staticmethod
    def _deals(company: Company) -> QuerySet[Any]:
        return (
            Deal.objects.for_company(company)
            .filter(lead__erased_at=None)
            .select_related("lead")
        )


class OfferedRowField(OwnRowField):
    """The id of an entry of one of the company's lists: one that isn't archived, or that the row has already."""

    def get_queryset(self) -> QuerySet[Any]:
        current = getattr(
            getattr(self.parent, "instance", None), f"{self.source}_id", None
        )
        rows: Any = super().get_queryset()
        offered: QuerySet[Any] = rows.offered(current)
        return offered


class TypeCode(Text):
    """The code of one of the company's lead types: one that isn't archived, or that the lead has already."""

    def to_internal_value(self, data: Any) -> str:
        code = super().to_internal_value(data)
        current = getattr(getattr(self.parent, "instance", None), "type", FIRST_TYPE)
        types = LeadType.objects.for_company(self.context["request"].auth.company)
        offered = list(types.offered().values_list("code", flat=True))
        if code not in offered and code != current:
            raise serializers.ValidationError(f"Choose one of: {', '.join(offered)}.")
        return code


class TagNames(serializers.ListField):
    """The names of a lead's or deal's tags. Written, they replace those that it has."""

    child = Text(max_length=60)

    def to_representation(self, data: Any) -> list[str]:
        return [tag.name for tag in data.all()]
