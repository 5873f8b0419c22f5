"""Amounts as people type them. A module of its own, because deals and custom fields both have them."""

import re
from typing import Any, Final

from django import forms

_GROUPED: Final = re.compile(r"-?\d{1,3}(?:,\d{3})+(?:\.\d+)?")  # 25,000 or 1,999.50
_DECIMAL_COMMA: Final = re.compile(r"-?\d+(?:\.\d{3})*,\d{1,2}")  # 1999,50 or 1.999,50; but 25.000 may be either


class AmountField(forms.DecimalField):
    """An amount as people type it: with spaces, a currency symbol, commas between thousands, or a decimal comma."""

    def to_python(self, value: Any) -> Any:
        return super().to_python(plain_number(value) if isinstance(value, str) else value)


def plain_number(text: str) -> str:
    """The number with a decimal point and nothing else, or `text` without spaces and symbols if it is ambiguous."""
    text = re.sub(r"[\s€£$]", "", text)
    if _GROUPED.fullmatch(text):
        return text.replace(",", "")
    if _DECIMAL_COMMA.fullmatch(text):
        return text.replace(".", "").replace(",", ".")
    return text
