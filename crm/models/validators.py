"""What a company or a person can enter: currencies, time zones and names."""

import re
import unicodedata
from functools import lru_cache
from typing import Final
from zoneinfo import available_timezones

from django.conf import settings
from django.core.exceptions import ValidationError

# ISO 4217, list one (active codes), without funds, metals and test codes
CODES: Final = frozenset(
    re.findall(
        r"[A-Z]{3}",
        """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF
CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG
HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA
MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD
RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD
UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW
""",
    )
)
CURRENCY_CHOICES: Final = [(code, code) for code in sorted(CODES)]


CURRENCY_OF_REGION: Final = {
    "AU": "AUD",
    "CA": "CAD",
    "CH": "CHF",
    "DK": "DKK",
    "GB": "GBP",
    "IN": "INR",
    "NO": "NOK",
    "PL": "PLN",
    "SE": "SEK",
    "SG": "SGD",
    "US": "USD",
}


def usual_currency(languages: str) -> str:
    """The currency of the first region in an Accept-Language header, or EUR if that region is not listed here."""
    regions = re.findall(r"[a-z]{2,3}-([A-Z]{2})\b", languages)
    return CURRENCY_OF_REGION.get(regions[0], "EUR") if regions else "EUR"


def validate_currency(code: str) -> None:
    """Raise ValidationError unless `code` is an upper-case ISO 4217 code."""
    if code not in CODES:
        raise ValidationError(
            "Unknown currency. Use a three-letter code such as EUR, USD or GBP.",
            code="currency",
        )


def usual_time_zone() -> str:
    """The default for a company."""
    return settings.TIME_ZONE


@lru_cache
def time_zones() -> tuple[str, ...]:
    """The IANA names, "UTC" first, without the abbreviations and aliases that have no region."""
    return (
        "UTC",
        *sorted(
            name
            for name in available_timezones()
            if "/" in name and not name.startswith("Etc/")
        ),
    )


def validate_time_zone(name: str) -> None:
    """Raise ValidationError for an unknown time zone."""
    if name not in time_zones():
        raise ValidationError("Unknown time zone.")


DIGITS_OF_AN_ID: Final = 18  # fit a bigint
MAX_ID: Final = 2**63 - 1


def is_number(text: str, *, digits: int = DIGITS_OF_AN_ID) -> bool:
    """True for a whole number from 0 with at most this many digits, such as an id in a URL or a form."""
    return text.isascii() and text.isdigit() and len(text) <= digits


# Names appear in mails to people who know neither the company nor the person.
WEB_ADDRESS: Final = re.compile(r"://|\bwww\.", re.IGNORECASE)


# Control and format characters, surrogates, blanks, and marks, which need a letter before them. Not unassigned
# characters: they are often just newer than this Python, such as this year's emoji.
UNSEEN_CATEGORIES: Final = frozenset(
    {"Cc", "Cf", "Cs", "Zs", "Zl", "Zp", "Mn", "Mc", "Me"}
)
# Unassigned code points that no program shows: Default_Ignorable_Code_Point in
# https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt, and noncharacters (section 23.7 of the
# standard).
NEVER_ASSIGNED: Final = "".join(
    chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF)
)
IGNORED: Final = re.compile(
    f"[\u2065\ufff0-\ufff8\U000e0000-\U000e0fff\ufdd0-\ufdef{NEVER_ASSIGNED}]"
)
# Letters and a symbol that look blank: three Hangul fillers, the half-width one, and the empty Braille pattern.
UNSEEN: Final = frozenset("\u115f\u1160\u3164\uffa0\u2800")
# Decides about most texts, in a tenth of the time.
PLAINLY_SEEN: Final = re.compile("[0-9A-Za-z]")
NOT_SEEN: Final = (
    "Enter something that can be seen: these are invisible characters only."
)


def is_seen(text: str) -> bool:
    """True if any of the text can be seen. A link with an invisible name is one that no one finds."""
    return PLAINLY_SEEN.search(text) is not None or any(
        unicodedata.category(character) not in UNSEEN_CATEGORIES
        and character not in UNSEEN
        for character in IGNORED.sub("", text)
    )


def check_seen(**names: str) -> None:
    """Raise ValidationError, by field, for names that are invisible. Empty names are left to other checks."""
    if unseen := [field for field, name in names.items() if name and not is_seen(name)]:
        raise ValidationError(dict.fromkeys(unseen, NOT_SEEN))


def validate_name(name: str) -> None:
    """Raise ValidationError for a name that can't be seen, or with a web address, which a mail program would link."""
    if not is_seen(name):
        raise ValidationError(NOT_SEEN, code="unseen")
    if WEB_ADDRESS.search(unicodedata.normalize("NFKC", name)):
        raise ValidationError(
            "Enter a name without a web address (:// or www.).", code="web_address"
        )
