"""Folds texts to lower case without accents, in Python and in SQL alike."""

import re
import unicodedata
from typing import Any, Final

from django.db.models import Func, TextField

ACCENTS: Final = "\u0300-\u036f"
LETTERS: Final = {
    "ø": "o",
    "ł": "l",
    "đ": "d",
    "ð": "d",
    "ħ": "h",
    "ŧ": "t",
    "\u0131": "i",
    "ς": "\u03c3",
}
LIGATURES: Final = {"ß": "ss", "æ": "ae", "œ": "oe", "þ": "th"}
# Blanks that NFKD doesn't turn into a space.
SPACES: Final = "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85\u1680\u2028\u2029"

_FOLDS: Final = str.maketrans({**LETTERS, **LIGATURES, **dict.fromkeys(SPACES, " ")})
_ACCENT: Final = re.compile(f"[{ACCENTS}]+")


def folded(text: str) -> str:
    """The text in lower case and without accents, as in the search text of a lead.

    Unicode's own decomposition: PostgreSQL's `normalize` and Python agree on it, and unlike `unaccent` it is
    immutable, as an index requires, and needs no extension.
    """
    return (
        _ACCENT.sub("", unicodedata.normalize("NFKD", text)).lower().translate(_FOLDS)
    )


def folded_sql(text: str) -> str:
    """`folded()` of an expression in SQL. The collation knows the cases of all letters, on every system."""
    plain = f"regexp_replace(normalize({text}, NFKD), '[{ACCENTS}]+', '', 'g')"
    lower = f"lower({plain} COLLATE pg_c_utf8)"
    for ligature, letters in LIGATURES.items():
        lower = f"replace({lower}, '{ligature}', '{letters}')"
    return f"translate({lower}, '{''.join(LETTERS)}{SPACES}', '{''.join(LETTERS.values())}{' ' * len(SPACES)}')"


class Folded(Func):
    """`folded()` of a text in the database."""

    arity = 1
    output_field = TextField()

    def as_sql(self, compiler: Any, connection: Any, **_: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        text, params = compiler.compile(self.get_source_expressions()[0])
        return folded_sql(text), [*params]


def search_text(*values: str) -> str:
    """The search text of a lead; the last value is its phone number. Each word has a space in front."""
    *texts, phone = values
    return f" {folded(' '.join(texts))} {re.sub('[^0-9]', '', phone)}"
