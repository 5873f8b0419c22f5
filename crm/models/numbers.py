"""Numbers as people write them: 1,234.50 or 1.234,50 or 1 234,50, with a currency or a percent sign next to it.

“1.200” is 1,200 or 1.2, depending on the decimal sign of who wrote it. `NumberReadings` has both.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.db import models

from crm.models.validators import CODES

LONGEST: Final = 60  # characters
_SPACES: Final = re.compile(r"\s+")  # no-break and narrow ones, too
# Curly apostrophes, dashes.
_ALIKE: Final = str.maketrans("\u2019\u2018\u02bc\u00b4\u2212\u2013\u2014", "''''---")
# ¤ is the € of a file in ISO-8859-15.
_SYMBOLS: Final = (
    r"(?:us|au|ca|nz|hk|a|c|s|r)?\$|[£€¤¥₹₺₽₩₪₴]|kr\.?|rs\.?|zł|kč|ft|fr\."
)
_CURRENCY: Final = rf"(?:{_SYMBOLS}|{'|'.join(sorted(CODES))})"
# 1.500,- or 1 500:-
_ROUND: Final = re.compile(
    rf"(?<=\d)([.,:])-{{1,2}}(?= ?(?:{_CURRENCY}|%)? ?\)?\Z)", re.IGNORECASE
)
ROUND_ENDS: Final = {".": ".00", ",": ",00", ":": ""}
# A minus before or after the currency; (1.50) or 1.50- are negative, too.
_NUMBER: Final = re.compile(
    rf"(?P<before>[-+(]?) ?{_CURRENCY}? ?(?P<between>[-+]?) ?(?P<digits>[.,]?\d(?:[\d.,' ]*\d)?(?:e[-+]?\d{{1,3}})?)"
    rf" ?(?:{_CURRENCY}|%)? ?(?P<after>[-)]?)",
    re.ASCII | re.IGNORECASE,
)
_NEGATIVE: Final = ("-", "()")
_SIGNS: Final = ("", "+", *_NEGATIVE)
_WHOLE: Final = (
    r"(?:\d+|[1-9]\d{{0,2}}(?P<group>[{}' ])(?:\d{{2,3}}(?P=group))*\d{{3}})?"
)
_FORMS: Final = {
    sign: re.compile(
        _WHOLE.format(group) + rf"(?:{re.escape(sign)}\d+)?(?:e[-+]?\d+)?",
        re.ASCII | re.IGNORECASE,
    )
    for sign, group in ((".", ","), (",", "."))
}


class DecimalSign(models.TextChoices):
    """The sign between the whole part of a number and its decimals."""

    COMMA = "comma", "Comma"
    POINT = "point", "Point"


@dataclass(frozen=True, slots=True)
class NumberReadings:
    """What a text means with either decimal sign, None where it is no number."""

    comma: Decimal | None = None
    point: Decimal | None = None

    def by(self, sign: str) -> tuple[Decimal | None, bool]:
        """The number with this decimal sign, and whether that is doubtful. Without a sign, None for an ambiguous one.

        It is doubtful if only the other sign makes it a number, or if the sign is followed by three digits: “1,500” is
        1.5 with a comma as its decimal sign, but could be 1,500.
        """
        if not sign:
            if self.is_ambiguous:
                return None, False
            return self.comma if self.point is None else self.point, False
        own, other = self.point, self.comma
        if sign == DecimalSign.COMMA:
            own, other = other, own
        if own is None:
            return other, other is not None
        return own, other is not None and abs(own) < abs(other)

    @property
    def is_ambiguous(self) -> bool:
        return None not in (self.comma, self.point) and self.comma != self.point

    @property
    def only(self) -> str:
        """The only possible decimal sign, or ""."""
        if self.comma is None and self.point is not None:
            return DecimalSign.POINT
        if self.point is None and self.comma is not None:
            return DecimalSign.COMMA
        return ""

    @property
    def likely(self) -> str:
        """The decimal sign that it probably has although both are possible: none is likelier."""
        return ""


def number_readings(text: str) -> NumberReadings:
    """What the text means with either decimal sign."""
    found = _NUMBER.fullmatch(_plain(text)) if len(text) <= LONGEST else None
    if (
        found is None
        or (signs := found["before"] + found["between"] + found["after"]) not in _SIGNS
    ):
        return NumberReadings()
    comma, point = (
        _value(found["digits"], sign, negative=signs in _NEGATIVE)
        for sign in (",", ".")
    )
    return NumberReadings(comma, point)


def _plain(text: str) -> str:
    plain = _SPACES.sub(" ", text).strip().translate(_ALIKE)
    return _ROUND.sub(lambda found: ROUND_ENDS[found[1]], plain)


def _value(digits: str, sign: str, *, negative: bool) -> Decimal | None:
    if not _FORMS[sign].fullmatch(digits):
        return None
    whole, _, rest = digits.partition(sign)
    number = Decimal(re.sub("[.,' ]", "", whole) + (f".{rest}" if rest else ""))
    return -number if negative else number


def unambiguous(number: Decimal) -> str:
    """The number in plain digits that no one takes for another one: 1200, 1.2, or 1.2340 instead of 1.234."""
    text = f"{number:f}"
    return f"{text}0" if number_readings(text).is_ambiguous else text


class AmountField(forms.DecimalField):
    """A number as people type it. Rejects one that could be another with the other decimal sign: “1.200” or “1,500”.

    “1,5” and “1.200,50” have one meaning, and so has “1,234” if the field has two decimals: 1,234, as pages show it.
    """

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, str) or not value.strip():
            return super().to_python(value)
        found = number_readings(value)
        number, is_doubtful = found.by(DecimalSign.POINT)
        if found.is_ambiguous and (is_doubtful or len(self._meant(found)) > 1):
            raise ValidationError(self._question(found), code="ambiguous")
        return super().to_python(value if number is None else number)

    def _question(self, found: NumberReadings) -> str:
        both = self._meant(found)
        shown = " or ".join(f"{number:,f}" for number in both)
        return f"Do you mean {shown}? Write {' or '.join(map(unambiguous, both))}."

    def _meant(self, found: NumberReadings) -> list[Decimal]:
        """The readings that the field has room for."""
        return [
            number.normalize()
            for number in (found.comma, found.point)
            if number is not None and self._fits(number)
        ]

    def _fits(self, number: Decimal) -> bool:
        places = -int(number.normalize().as_tuple().exponent)
        return self.decimal_places is None or places <= self.decimal_places
