"""What the API says about a value that it can't take: what to send instead, in place of what DRF says is wrong."""

from collections.abc import Mapping
from typing import Any, Final

from rest_framework import serializers
from rest_framework.exceptions import Throttled

REQUIRED: Final = "Enter a value: this field is required."
OBJECT: Final = "Enter an object, in curly brackets."
AT_MOST, AT_LEAST = "Enter {max_value} or less.", "Enter {min_value} or more."
LISTS: Final = {
    "not_a_list": "Enter a list, in square brackets.",
    "empty": "Enter a list that is not empty.",
    "min_length": "Enter {min_length} entries at least.",
    "max_length": "Enter {max_length} entries at most.",
}
LONG_NUMBER: Final = "Enter a number of fewer digits."

MESSAGES: Final[
    Mapping[type[serializers.Field[Any, Any, Any, Any]], Mapping[str, str]]
] = {
    serializers.Field: {"required": REQUIRED, "null": "Enter a value, not null."},
    serializers.BooleanField: {"invalid": "Enter true or false."},
    serializers.CharField: {
        "invalid": "Enter a string.",
        "blank": "Enter a string that is not empty.",
        "max_length": "Enter {max_length} characters at most.",
        "min_length": "Enter {min_length} characters at least.",
    },
    serializers.IntegerField: {
        "invalid": "Enter a whole number.",
        "max_value": AT_MOST,
        "min_value": AT_LEAST,
        "max_string_length": LONG_NUMBER,
    },
    serializers.DecimalField: {
        "invalid": "Enter a number, such as 1200.50.",
        "max_value": AT_MOST,
        "min_value": AT_LEAST,
        "max_digits": "Enter {max_digits} digits at most.",
        "max_decimal_places": "Enter {max_decimal_places} decimal places at most.",
        "max_whole_digits": "Enter {max_whole_digits} digits at most before the decimal point.",
        "max_string_length": LONG_NUMBER,
    },
    serializers.DateTimeField: {
        "invalid": "Enter a date and a time, such as 2027-01-31T09:30:00Z.",
        "date": "Enter a date and a time, such as 2027-01-31T09:30:00Z.",
        "make_aware": "Enter a time that exists there: the clocks were put forward.",
        "overflow": "Enter a date between the years 1 and 9999.",
    },
    serializers.DateField: {
        "invalid": "Enter a date, such as 2027-01-31.",
        "datetime": "Enter a date without a time, such as 2027-01-31.",
    },
    serializers.TimeField: {"invalid": "Enter a time, such as 14:30."},
    serializers.ListField: LISTS,
    serializers.DictField: {
        "not_a_dict": OBJECT,
        "empty": "Enter an object that is not empty.",
    },
    serializers.PrimaryKeyRelatedField: {
        "required": REQUIRED,
        "incorrect_type": "Enter an id: a whole number.",
    },
    serializers.FileField: {
        "required": "Add a file: the form has none.",
        "invalid": "Send the file as multipart/form-data, with its name.",
        "no_name": "Send the file with its name.",
        "max_length": "Send the file under a name of {max_length} characters at most.",
    },
    serializers.Serializer: {"invalid": OBJECT},
    serializers.ListSerializer: LISTS,
}


def install_messages() -> None:
    """Install the messages in DRF's field classes. Call this before any serializer is defined: its fields copy them.

    They apply to all serializers. A field's own messages take precedence.
    """
    for field, messages in MESSAGES.items():
        field.default_error_messages = {**field.default_error_messages, **messages}
    Throttled.default_detail = "Too many requests."
    Throttled.extra_detail_singular = "Try again in {wait} second."
    Throttled.extra_detail_plural = "Try again in {wait} seconds."
