"""The object `custom` of leads and deals: the values of their custom fields, by key."""

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar

from django.core.exceptions import ValidationError as FormError
from django.db.models import Model
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from crm.api.error_messages import REQUIRED
from crm.models import CustomField, FieldSubject, FieldType
from crm.models.custom_lookups import COLUMN, with_keys_set
from crm.models.custom_values import Value, form_field
from crm.selectors.custom_fields import fields_in_use

M = TypeVar("M", bound=Model)

NO_SUCH_FIELD: Final = (
    "There is no such custom field. GET /api/v1/custom-fields/ lists yours."
)
PLAIN_NUMBER: Final = re.compile(r"[-+]?\d+(\.\d+)?([eE][-+]?\d{1,3})?", re.ASCII)
ISO_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


@extend_schema_field(
    {
        "type": "object",
        "additionalProperties": {},
        "example": {
            "fleet_size": "40",
            "customer_since": "2027-01-31",
            "region": "emea",
            "is_partner": True,
        },
        "description": "The custom fields of your company, by key. A write changes the keys given; null empties one.",
    }
)
class CustomValuesField(serializers.Field[Any, Any, Any, Any]):
    """Values by key. Rejects keys of no field, and values that the forms would reject too."""

    default_error_messages = {"not_an_object": "Enter an object with values by key."}

    @property
    def custom_fields(self) -> dict[str, CustomField]:
        """The company's fields in use, by key. One query for each request."""
        serializer: Any = self.parent
        subject = FieldSubject(serializer.Meta.model._meta.model_name)
        known = serializer.context.setdefault("custom_fields", {})
        if subject not in known:
            company = serializer.context["request"].auth.company
            fields = fields_in_use(company, subject)
            known[subject] = {field.key: field for field in fields}
        found: dict[str, CustomField] = known[subject]
        return found

    def to_representation(self, values: Mapping[str, Value]) -> dict[str, Value | None]:
        return {key: values.get(key) for key in self.custom_fields}

    def to_internal_value(self, data: Any) -> dict[str, Value | None]:
        if not isinstance(data, Mapping):
            self.fail("not_an_object")
        values, errors = {}, {}
        before = getattr(getattr(self.parent, "instance", None), COLUMN, {})
        for key, entered in data.items():
            field = self.custom_fields.get(key)
            try:
                values[key] = _value(field, entered, before.get(key))
            except FormError as error:
                # The response repeats the key, but can't contain a lone surrogate.
                errors[key.encode("utf-8", "replace").decode()] = error.messages
        if errors:
            raise serializers.ValidationError(errors)
        return values


def _value(
    field: CustomField | None, entered: Any, current: Value | None
) -> Value | None:
    if field is None:
        raise FormError(NO_SUCH_FIELD)
    made = form_field(field, current=current)
    made.error_messages["required"] = REQUIRED
    value: Value | None = made.clean(_as_in_a_form(FieldType(field.type), entered))
    return value


def _as_in_a_form(kind: FieldType, entered: Any) -> Any:
    """What a form would send for this JSON value. Raises a form's ValidationError if its JSON type is wrong."""
    if entered is None:
        return ""
    read: Callable[[Any], Any] = READERS.get(kind, _text)
    return read(entered)


def _text(entered: Any) -> str:
    if not isinstance(entered, str):
        raise FormError("Enter a string.")
    return entered


def _date(entered: Any) -> str:
    text = _text(entered)
    if text and not ISO_DATE.fullmatch(text):
        raise FormError("Enter a date, such as 2027-01-31.")
    return text


def _yes_or_no(entered: Any) -> str:
    if not isinstance(entered, bool):
        raise FormError("Enter true, false or null.")
    return "yes" if entered else "no"


def _choices(entered: Any) -> list[str]:
    if isinstance(entered, list) and all(isinstance(each, str) for each in entered):
        return entered
    raise FormError("Enter a list of the keys of choices.")


def _number(entered: Any) -> Decimal | str:
    """The number. A script means 1.2 by "1.200", which a form would ask about."""
    is_number = isinstance(entered, int | float) and not isinstance(entered, bool)
    text = str(entered) if is_number else entered
    if text == "":
        return ""
    if not isinstance(text, str) or not PLAIN_NUMBER.fullmatch(text):
        raise FormError("Enter a number, or a string with one, such as 1999.50.")
    return Decimal(text)


READERS: Final[Mapping[FieldType, Callable[[Any], Any]]] = {
    FieldType.NUMBER: _number,
    FieldType.MONEY: _number,
    FieldType.DATE: _date,
    FieldType.YES_NO: _yes_or_no,
    FieldType.CHOICES: _choices,
}


class WithCustomValues(serializers.ModelSerializer[M]):
    """The serializer of a lead or deal, with `custom`."""

    custom = CustomValuesField(required=False)

    def validate(self, attrs: Any) -> Any:
        """Raise ValidationError if a new row lacks a required value."""
        attrs = super().validate(attrs)
        field: Any = self.fields[COLUMN]
        if self.instance is None:
            given = attrs.get(COLUMN, {})
            missing = [
                key
                for key, each in field.custom_fields.items()
                if each.is_required and key not in given
            ]
            if missing:
                raise serializers.ValidationError(
                    {COLUMN: {key: [REQUIRED] for key in missing}}
                )
        return attrs

    def create(self, validated_data: Any) -> M:
        values = validated_data.get(COLUMN, {})
        validated_data[COLUMN] = {
            key: value for key, value in values.items() if value is not None
        }
        return super().create(validated_data)

    def update(self, instance: M, validated_data: Any) -> M:
        """Write the keys given, so that concurrent changes to others stay."""
        values = validated_data.pop(COLUMN, {})
        if not values:
            return super().update(instance, validated_data)
        validated_data[COLUMN] = with_keys_set(values)
        saved = super().update(instance, validated_data)
        # An expression: the values are read again for the response.
        delattr(saved, COLUMN)
        return saved
