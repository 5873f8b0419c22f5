"""The values of custom fields: one Django form field for each type, used by forms, the API and imports alike.

A cleaned value is in the normal form that is stored: a date is ISO 8601, a number a decimal string, a choice its key.
An empty value is None, and has no key in the column.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, cast

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator

from crm.models.bidi import without_bidi_controls
from crm.models.custom_field import WITH_CHOICES, CustomField, FieldType
from crm.models.dates import typed_date
from crm.models.numbers import AmountField, unambiguous

Value = str | bool | list[str]

LONGEST_TEXT: Final = 200
LONGEST_LONG_TEXT: Final = 5_000
LONGEST_URL: Final = 500
LONGEST_PHONE: Final = 40
NUMBER_DIGITS: Final = 15  # as many as a float holds, such as a spreadsheet's
NUMBER_DECIMALS: Final = 6


def form_field(
    field: CustomField, *, current: Value | None = None, is_required: bool | None = None
) -> forms.Field:
    """The form field whose `clean` returns the value as it is stored, or None for an empty one.

    A choice that is the `current` value may stay, even if it is no longer offered. `is_required` overrides the field's
    own setting, for callers that may leave out what the company requires of new rows.
    """
    required = field.is_required if is_required is None else is_required
    options = {
        "label": str(field),
        "help_text": without_bidi_controls(field.help_text),
        "required": required,
    }
    if field.type in WITH_CHOICES:
        chosen = [current] if isinstance(current, str) else []
        if isinstance(current, list):
            chosen = current
        options["choices"] = field.offered_beside(chosen)
    return _MAKERS[FieldType(field.type)](field, options)


def as_typed(field: CustomField, value: Value | None) -> Value | None:
    """The value as its form field shows it: a number so that no one can read it in two ways."""
    if field.type == FieldType.NUMBER and isinstance(value, str):
        return unambiguous(Decimal(value))
    return value


# The fields


class _Text(forms.CharField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(empty_value=None, **kwargs)
        self.validators.append(validate_encodable)


class _Url(forms.URLField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(empty_value=None, assume_scheme="https", **kwargs)
        self.validators.append(validate_encodable)
        # Checks the address with its scheme, as it is stored.
        self.validators.append(MaxLengthValidator(LONGEST_URL))

    def to_python(self, value: Any) -> Any:
        address = super().to_python(value)
        if address and not address.lower().startswith(("http://", "https://")):
            raise ValidationError(self.error_messages["invalid"], code="invalid")
        return address


class _Number(AmountField):
    def clean(self, value: Any) -> str | None:
        number: Decimal | None = super().clean(value)
        return None if number is None else self.normal(number)

    def normal(self, number: Decimal) -> str:
        """The number without trailing zeros: equal numbers are equal texts."""
        text = f"{number:f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
        return "0" if text in ("-0", "") else text


class _Money(_Number):
    def normal(self, number: Decimal) -> str:
        return f"{number + 0:.2f}"


class _Date(forms.Field):
    widget = forms.DateInput({"type": "date"}, format="%Y-%m-%d")

    def to_python(self, value: Any) -> str | None:
        text = str(value or "").strip()
        return typed_date(text).isoformat() if text else None


class _YesNo(forms.Field):
    widget = forms.Select(choices=[("", ""), ("yes", "Yes"), ("no", "No")])

    def to_python(self, value: Any) -> bool | None:
        answers = {"yes": True, "no": False, "": None}
        try:
            return answers[value if isinstance(value, str) else ""]
        except KeyError:
            raise ValidationError("Choose yes or no.", code="invalid_choice") from None

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, bool):
            return "yes" if value else "no"
        return value


class _Choice(forms.ChoiceField):
    def clean(self, value: Any) -> str | None:
        return super().clean(value) or None


class _Checkboxes(forms.CheckboxSelectMultiple):
    """With an empty hidden value: a form where none is checked differs from one without the field."""

    template_name = "forms/checkboxes.html"

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        return [
            key for key in super().value_from_datadict(data, files, name) or () if key
        ]

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return name not in data


class _Choices(forms.MultipleChoiceField):
    def clean(self, value: Any) -> list[str] | None:
        chosen, choices = (
            set(super().clean(value)),
            cast(list[tuple[str, str]], self.choices),
        )
        # In the order of the choices, each once: the same selection is the same value.
        return [key for key, _ in choices if key in chosen] or None


def validate_encodable(text: str) -> None:
    """Raise ValidationError for half of a surrogate pair, which no database stores."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValidationError(
            "This text has a character that can't be stored.", code="invalid"
        ) from None


_NUMBER_INPUT: Final = {"inputmode": "decimal", "autocomplete": "off"}
_TOO_LONG: Final = f"Enter at most {NUMBER_DIGITS} digits, {NUMBER_DECIMALS} of them after the decimal point."
_NUMBER_ERRORS: Final = {
    "invalid": "Enter a number, such as 25000 or 1999.50.",
    "max_digits": _TOO_LONG,
    "max_whole_digits": _TOO_LONG,
    "max_decimal_places": _TOO_LONG,
}


def _number(field: CustomField, options: dict[str, Any]) -> forms.Field:
    return _Number(
        max_digits=NUMBER_DIGITS,
        decimal_places=NUMBER_DECIMALS,
        widget=forms.TextInput(_NUMBER_INPUT),
        error_messages=_NUMBER_ERRORS,
        **options,
    )


def _money(field: CustomField, options: dict[str, Any]) -> forms.Field:
    return _Money(
        max_digits=14,
        decimal_places=2,
        widget=forms.TextInput(_NUMBER_INPUT),
        error_messages={
            **_NUMBER_ERRORS,
            "max_digits": "Enter at most 12 digits before the decimal point.",
            "max_whole_digits": "Enter at most 12 digits before the decimal point.",
            "max_decimal_places": "Enter at most 2 digits after the decimal point.",
        },
        **options,
    )


def _choice(field: CustomField, options: dict[str, Any]) -> forms.Field:
    options["choices"] = [("", ""), *options["choices"]]
    return _Choice(
        error_messages={"invalid_choice": "Choose one of the choices."}, **options
    )


def _choices(field: CustomField, options: dict[str, Any]) -> forms.Field:
    return _Choices(
        widget=_Checkboxes,
        error_messages={
            "invalid_choice": "Choose some of the choices.",
            "invalid_list": "Choose some of the choices.",
        },
        **options,
    )


_MAKERS: Final[
    dict[FieldType, Callable[[CustomField, dict[str, Any]], forms.Field]]
] = {
    FieldType.TEXT: lambda field, options: _Text(max_length=LONGEST_TEXT, **options),
    FieldType.LONG_TEXT: lambda field, options: _Text(
        max_length=LONGEST_LONG_TEXT, widget=forms.Textarea({"rows": 3}), **options
    ),
    FieldType.NUMBER: _number,
    FieldType.MONEY: _money,
    FieldType.DATE: lambda field, options: _Date(**options),
    FieldType.YES_NO: lambda field, options: _YesNo(**options),
    FieldType.CHOICE: _choice,
    FieldType.CHOICES: _choices,
    FieldType.URL: lambda field, options: _Url(
        error_messages={"invalid": "Enter a web address, such as https://example.com."},
        **options,
    ),
    FieldType.PHONE: lambda field, options: _Text(
        max_length=LONGEST_PHONE, widget=forms.TextInput({"type": "tel"}), **options
    ),
}
