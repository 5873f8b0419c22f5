"""LinkedIn's API versions, and the day on which each is switched off.

The table is from Microsoft Learn, "LinkedIn Marketing API versioning" and "Migrations", as read on 2026-11-25. A
version comes out each month and is served for at least a year; there was no 202512. So a version that the table doesn't
know is served until a year after its month, at least.
"""

import re
from datetime import date

SUNSETS = {
    "202511": date(2026, 11, 16),
    "202601": date(2027, 1, 15),
    "202602": date(2027, 2, 15),
    "202603": date(2027, 3, 16),
    "202604": date(2027, 4, 15),
    "202605": date(2027, 5, 15),
    "202606": date(2027, 6, 15),
    "202607": date(2027, 7, 15),
    "202608": date(2027, 8, 17),
    "202609": date(2027, 9, 15),
}

OLDEST = min(SUNSETS)

_IS_WELL_FORMED = re.compile(r"20[0-9]{2}(0[1-9]|1[0-2])")


def sunset(version: str) -> date | None:
    """The day from which LinkedIn answers this version with 426; if the table doesn't know it, the earliest such day.

    None for a version that is older than any in the table, which was switched off before the table was made, or that is
    malformed.
    """
    if version in SUNSETS:
        return SUNSETS[version]
    if version < OLDEST or not is_well_formed(version):
        return None
    return date(int(version[:4]) + 1, int(version[4:]), 1)


def is_known(version: str) -> bool:
    """True if the table has the version's day. A newer one may well be served: LinkedIn has no list to query."""
    return version in SUNSETS


def is_well_formed(version: str) -> bool:
    """True for YYYYMM, the form of the `LinkedIn-Version` header."""
    return _IS_WELL_FORMED.fullmatch(version) is not None
