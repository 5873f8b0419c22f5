"""Organisations: names that leads have. Decides which spellings are one, in Python and PostgreSQL alike.

Only their details have a table: docs/decisions/organisations-by-name.md has the reasons.
"""

import re
import unicodedata
from typing import Any, Final

from django.db.models import BooleanField, Func, TextField

from crm.search.folding import SPACES

# Characters. Decomposition can make a key much longer than its name, and PostgreSQL indexes at most 2,700 bytes.
KEY_LENGTH: Final = 200
FINAL_SIGMA, SIGMA = "\u03c2", "\u03c3"
SHARP_S: Final = "ß"
IN_URL: Final = r"(?:[A-Za-z0-9-]|~[0-9a-f]{2})+"

_FOLDS: Final = str.maketrans(
    {SHARP_S: "ss", FINAL_SIGMA: SIGMA, **dict.fromkeys(SPACES, " ")}
)
_UNUSUAL: Final = re.compile("[^A-Za-z0-9]")  # what a URL can't contain as it is
_ESCAPED: Final = re.compile(r"((?:~[0-9a-f]{2})+)")


def organisation_key(name: str) -> str:
    """The normal form of an organisation's name: equal for names that differ only in case, blanks or composition.

    Accents count. They come after their letters, as separate characters, and keys sort by letters: “Ärzte” is between
    “Azur” and “Bach”, whatever the database's locale.
    """
    folded = unicodedata.normalize("NFKD", name).lower().translate(_FOLDS)
    return re.sub(" +", " ", folded).strip(" ")[:KEY_LENGTH].rstrip(" ")


def organisation_key_sql(name: str) -> str:
    """`organisation_key()` of an expression in SQL."""
    lower = f"lower(normalize(({name})::text, NFKD) COLLATE pg_c_utf8)"
    folded = f"replace({lower}, '{SHARP_S}', 'ss')"
    folded = (
        f"translate({folded}, '{FINAL_SIGMA}{SPACES}', '{SIGMA}{' ' * len(SPACES)}')"
    )
    # By code point: the order of a system's collation would change with the system.
    return f"""(rtrim(left(btrim(regexp_replace({folded}, ' +', ' ', 'g')), {KEY_LENGTH})) COLLATE "C")"""


KEY_OF_COLUMN: Final = organisation_key_sql("organisation")  # of crm_lead


class OrganisationKey(Func):
    """`organisation_key()` of a text in the database."""

    arity = 1
    output_field = TextField()

    def as_sql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        name, params = compiler.compile(self.get_source_expressions()[0])
        return organisation_key_sql(name), [*params]


class HasName(Func):
    """True unless the text is empty. Has no parameter: PostgreSQL would not know its value when it decides whether a
    partial index applies.
    """

    template = "%(expressions)s > ''"
    arity = 1
    output_field = BooleanField()


class OrganisationConverter:
    """An organisation's key in a path: letters and digits as they are, a blank as “-”, anything else as “~” and a byte.

    There is no slash, dot or percent sign: proxies and browsers change these on the way.
    """

    regex = IN_URL

    def to_python(self, value: str) -> str:
        """Raises ValueError if the bytes are not valid text."""
        parts = _ESCAPED.split(value.replace("-", " "))
        key = "".join(
            bytes.fromhex(part.replace("~", "")).decode() if part[:1] == "~" else part
            for part in parts
        )
        if "\0" in key:
            raise ValueError("no database stores this character")
        return key

    def to_url(self, key: str) -> str:
        return _UNUSUAL.sub(_in_url, key)


def _in_url(unusual: re.Match[str]) -> str:
    character = unusual[0]
    if character == " ":
        return "-"
    return "".join(f"~{byte:02x}" for byte in character.encode())
