"""The schema of a conversion event, and the errors of elements that don't match it.

The messages are those of Rest.li's validator, the framework of LinkedIn's API.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Final

Problem = tuple[str, str]  # the path within the value, and the error there
Check = Callable[[Any], Sequence[Problem]]

ID_TYPES: Final = frozenset(
    {
        "SHA256_EMAIL",
        "LINKEDIN_FIRST_PARTY_ADS_TRACKING_UUID",
        "ACXIOM_ID",
        "ORACLE_MOAT_ID",
        "PLAINTEXT_IP_ADDRESS",
        "SHA256_IP_ADDRESS",
        "GOOGLE_AID",
    }
)
CONVERSION_PREFIX: Final = "urn:lla:llaPartnerConversion:"
HASHED_NAMES_SINCE: Final = "202609"

_DECIMAL = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_VALID: Final[tuple[Problem, ...]] = ()


def errors(element: Any, version: str) -> list[str]:
    """Every schema error of one element, in LinkedIn's words. Empty for a valid element."""
    return [
        f"ERROR :: {path} :: {error}\n"
        for path, error in event_schema(version)(element)
    ]


@cache
def event_schema(version: str) -> Check:
    """The check of a whole conversion event for one API version ("YYYYMM")."""
    hashed_names = {}
    if version >= HASHED_NAMES_SINCE:
        hashed_names = {"hashedFirstName": text, "hashedLastName": text}
    names = {
        "firstName": text,
        "lastName": text,
        "companyName": text,
        "title": text,
        "countryCode": text,
    }
    user = record(
        {"userIds": array(record({"idType": symbol(ID_TYPES), "idValue": text}))},
        {
            "userInfo": record({}, names | hashed_names),
            "externalIds": array(text),
            "lead": urn("urn:li:leadGenFormResponse:"),
        },
    )
    value = record({"currencyCode": text, "amount": decimal_text})
    return record(
        {
            "conversion": urn(CONVERSION_PREFIX, digits=True),
            "conversionHappenedAt": whole_number,
            "user": user,
        },
        {"eventId": text, "conversionValue": value},
    )


def text(value: Any) -> Sequence[Problem]:
    if type(value) is str:
        return _VALID
    return [("", f"{_shown(value)} cannot be coerced to String")]


def whole_number(value: Any) -> Sequence[Problem]:
    is_long = type(value) is int and -(2**63) <= value < 2**63
    return _VALID if is_long else [("", f"{_shown(value)} cannot be coerced to Long")]


def decimal_text(value: Any) -> Sequence[Problem]:
    if type(value) is not str:
        return text(value)
    if _DECIMAL.fullmatch(value):
        return _VALID
    return [("", f'"{value}" is not a decimal number')]


def symbol(symbols: frozenset[str]) -> Check:
    def check(value: Any) -> Sequence[Problem]:
        if type(value) is not str:
            return [("", "enum type is not backed by a String")]
        return (
            _VALID if value in symbols else [("", f'"{value}" is not an enum symbol')]
        )

    return check


def urn(prefix: str, *, digits: bool = False) -> Check:
    def check(value: Any) -> Sequence[Problem]:
        if type(value) is not str:
            return text(value)
        if not value.startswith(prefix):
            return [("", f'"{value}" has an invalid URN prefix, expected "{prefix}"')]
        key = value[len(prefix) :]
        is_key = key.isascii() and key.isdigit() if digits else bool(key)
        return _VALID if is_key else [("", f'"{value}" has an invalid URN id')]

    return check


def array(item: Check) -> Check:
    def check(value: Any) -> Sequence[Problem]:
        if type(value) is not list:
            return [("", "array type is not backed by a DataList")]
        return [
            (f"/{at}{path}", error)
            for at, entry in enumerate(value)
            for path, error in item(entry)
        ]

    return check


def record(
    required: Mapping[str, Check], optional: Mapping[str, Check] | None = None
) -> Check:
    fields = {**required, **(optional or {})}

    def check(value: Any) -> Sequence[Problem]:
        if type(value) is not dict:
            return [("", "record type is not backed by a DataMap")]
        problems: list[Problem] = []
        for name, content in value.items():
            inner = fields.get(name, _unknown)(content)
            if inner:
                problems += [(f"/{name}{path}", error) for path, error in inner]
        if not required.keys() <= value.keys():
            missing = "field is required but not found and has no default value"
            problems += [
                (f"/{name}", missing) for name in required if name not in value
            ]
        return problems

    return check


def _unknown(value: Any) -> Sequence[Problem]:
    return [("", "unrecognized field found but not allowed")]


def _shown(value: Any) -> str:
    return value if type(value) is str else json.dumps(value)
