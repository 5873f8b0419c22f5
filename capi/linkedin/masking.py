"""LinkedIn's words, made fit to be stored and shown: they may echo what was sent."""

import re
from collections.abc import Callable, Container

MASK = "•••"
MAX_MESSAGE_LENGTH = 2000

# Control characters, what turns text around or hides in it, and lone surrogates, which no database stores.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]+")
_BEARER = re.compile(r"\bBearer\s+\S+", re.IGNORECASE)
# The possessive quantifiers and the look behind keep both linear in a text of 1 MB.
_EMAIL = re.compile(r"(?<![\w.+!#$&'*?^`{|}~-])[\w.+!#$&'*?^`{|}~-]++(?:@|%40)[\w.-]++")
# Tokens and hashes. A digit tells them from a name such as INVALID_USER_IDENTIFICATION_FIELD_VALUE.
_TOKEN = re.compile(r"(?<![\w-])(?=[A-Za-z_-]*+[0-9])[\w-]{41,}+")


def mask(text: str, *, readable: Container[str] = ()) -> str:
    """The text on one line, with `•••` for anything like an e-mail address, a hash or a token. Not shortened.

    `readable`: names that look like one of these and are none.
    """
    text = printable(text)
    text = _BEARER.sub(f"Bearer {MASK}", text)
    if "@" in text or "%40" in text:
        text = _EMAIL.sub(_unless(readable), text)
    return _TOKEN.sub(_unless(readable), text)


def _unless(readable: Container[str]) -> Callable[[re.Match[str]], str]:
    def masked(found: re.Match[str]) -> str:
        return found[0] if found[0].rstrip(".") in readable else MASK

    return masked


def printable(text: str) -> str:
    """The text on one line, without what turns text around or hides in it."""
    return _UNPRINTABLE.sub(" ", text).strip()


def shorten(text: str, length: int = MAX_MESSAGE_LENGTH) -> str:
    """At most `length` characters. Only for storing: what decides must see the whole text."""
    return text if len(text) <= length else text[: length - 1] + "…"
