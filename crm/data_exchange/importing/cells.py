"""Reads the cells of built-in fields.

`custom_columns` reads those of custom fields, and `value_maps` those of columns whose values are from a list.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator

from crm.models import Lead, RowProblem
from crm.models.addresses import without_formats

# The values by field name, and the `RowProblem`, "" for none.
Cell = tuple[dict[str, Any], str]
Reader = Callable[[str], Cell]

TEXTS: Final = (
    "first_name",
    "last_name",
    "email",
    "phone",
    "organisation",
    "title",
    "source",
    "notes",
)
SHARED: Final = "share_with_ad_platforms"
# The columns that say whether someone is shared.
SHARING: Final = ("consent", "opted_out")
# With what spreadsheets write for TRUE and FALSE in other languages.
YES: Final = frozenset(
    [
        "yes",
        "y",
        "true",
        "1",
        "on",
        "x",
        "ja",
        "j",
        "oui",
        "o",
        "sí",
        "si",
        "wahr",
        "waar",
        "vrai",
        "verdadero",
        "vero",
    ]
)
NO: Final = frozenset(
    [
        "no",
        "n",
        "false",
        "0",
        "off",
        "nee",
        "nein",
        "non",
        "falsch",
        "onwaar",
        "faux",
        "falso",
    ]
)
# Matches addresses that Django's validator accepts, in a tenth of its time. The validator decides about all others.
_PLAIN_ADDRESS: Final = re.compile(
    r"[\w+-]+(\.[\w+-]+)*@([a-z0-9]{1,63}\.)+[a-z]{2,63}", re.ASCII | re.IGNORECASE
)


def let_go_of_rows(error: ValidationError) -> None:
    """Delete the error's tracebacks, which refer to all rows of the chunk.

    Django's errors are reference cycles: the rows, 40 MB, would stay in memory until the next garbage collection.
    """
    for each in error.error_list:
        cause: BaseException | None = each
        while cause:
            cause.__traceback__, cause = None, cause.__context__


def readers_of_leads() -> dict[str, Reader]:
    """The readers of fields whose values are from no list, by field."""
    texts = {name: TextReader(name) for name in TEXTS}
    return {
        **texts,
        "full_name": FullNameReader(texts),
        "consent": _consent(YES),
        "opted_out": _consent(NO),
    }


class TextReader:
    """Reads the cells of one text field and validates them as the field does. Checks the length faster.

    The field is that of a lead with this name, unless another one is given.
    """

    def __init__(self, name: str, field: Any = None) -> None:
        field = field or Lead._meta.get_field(name)
        self._name, self._longest = name, field.max_length
        self._is_address = field.name == "email"
        self._keeps_lines = field.name in ("notes", "outcome_note", "text")
        self._validators = [
            each
            for each in field.validators
            if not isinstance(each, MaxLengthValidator)
        ]

    def __call__(self, cell: str) -> Cell:
        value = self._plain(cell)
        problem = self._problem(value)
        return ({}, problem) if problem else ({self._name: value}, "")

    def _plain(self, cell: str) -> str:
        """The text without repeated spaces, and without what is copied along with an address."""
        value = cell if self._keeps_lines else " ".join(cell.split())
        if not self._is_address:
            return value
        address = without_formats(value)
        is_from_a_mail = address.startswith("<") and address.endswith(">")
        return address[1:-1] if is_from_a_mail else address

    def _problem(self, value: str) -> str:
        if len(value) > self._longest:
            return RowProblem.TOO_LONG
        if self._is_address and _PLAIN_ADDRESS.fullmatch(value):
            return ""
        try:
            for validate in self._validators:
                validate(value)
        except ValidationError as error:
            let_go_of_rows(error)
            return RowProblem.EMAIL_INVALID if self._is_address else RowProblem.TOO_LONG
        return ""


class FullNameReader:
    """Reads the first and last name in “Ada Lovelace” or “Lovelace, Ada”.

    The names of both fields begin with the prefix.
    """

    def __init__(self, texts: Mapping[str, TextReader], prefix: str = "") -> None:
        self._first = texts[f"{prefix}first_name"]
        self._last = texts[f"{prefix}last_name"]

    def __call__(self, cell: str) -> Cell:
        if "," in cell:
            last, _, first = cell.partition(",")
        else:
            first, _, last = cell.strip().partition(" ")
        values: dict[str, Any] = {}
        for read, text in ((self._first, first.strip()), (self._last, last.strip())):
            found, problem = read(text) if text else ({}, "")
            if problem:
                return {}, problem
            values |= found
        return values, ""


def _consent(meaning_yes: frozenset[str]) -> Reader:
    def read(cell: str) -> Cell:
        answer = cell.strip().casefold()
        return (
            ({SHARED: answer in meaning_yes}, "")
            if answer in YES | NO
            else ({}, RowProblem.CONSENT_UNCLEAR)
        )

    return read
