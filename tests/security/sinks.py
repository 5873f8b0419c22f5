"""Search for what must not be somewhere: as it is, and encoded in the usual ways."""

import base64
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

PIECE = 12
# Here, and in no test: an error report shows the lines of code that failed, which would contain these.
ADDRESS = "quartz.kestrel@example.com"
NAME = "Kestrelquartz"


def token_pieces(token: str) -> list[str]:
    """The token in every form, and each piece of 12 characters of it."""
    pieces = [token[start : start + PIECE] for start in range(len(token) - PIECE + 1)]
    return [*pieces, *dressed_up(token)]


def dressed_up(text: str) -> list[str]:
    """The text as it is, URL-encoded, escaped, in hex, and in base64 at each possible offset."""
    forms = {
        text,
        quote(text, safe=""),
        quote_plus(text),
        text.encode("unicode_escape").decode(),
        text.encode().hex(),
    }
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + text.encode()).decode()
        # The first and the last characters depend on what is next to it.
        forms.add(coded[4 if before else 0 : -4])
    return sorted(forms)


def hits(haystack: str | bytes, needles: Iterable[str]) -> list[str]:
    """Which of the needles are in the haystack, ignoring case."""
    text = (
        haystack.decode("utf-8", "replace") if isinstance(haystack, bytes) else haystack
    )
    lowered = text.lower()
    return [needle for needle in needles if needle.lower() in lowered]
