"""Text for a CSV file that a spreadsheet will open, and take for a formula where it may."""

from typing import Final

# What makes a formula, also in full width, and what Excel and others skip before they look for it.
FORMULA_SIGNS: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
SKIPPED: Final = "\t\r\n\0 \u00a0\u3000"


def as_text(value: object) -> str:
    """The value as a cell that stays text: one that might be a formula gets an apostrophe in front.

    Source: OWASP, "CSV Injection".
    """
    text = "" if value is None else str(value)
    might_be_formula = text.startswith(("\t", "\r", "\n", "\0")) or text.lstrip(SKIPPED).startswith(FORMULA_SIGNS)
    return f"'{text}" if might_be_formula else text
