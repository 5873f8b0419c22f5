"""What someone has chosen for a value of a file, and which values are the same one."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final, Self

from django.db import models

from crm.models.addresses import without_formats
from crm.models.validators import is_seen
from crm.search.folding import folded

LONGEST_KEY: Final = 120  # characters; the key of a longer value ends with a hash


class ValueAction(models.TextChoices):
    """What an import does about a value."""

    ENTRY = "entry", "Use an entry of the list"
    CREATE = "create", "Add it to the list"
    EMPTY = "empty", "Leave the cell empty"
    ROW = "row", "Leave out the row"


@dataclass(frozen=True, slots=True)
class ValueChoice:
    """What someone has chosen for a value.

    `entry` is the key of an entry: the code of a type, the key of a choice, the id of anything else. A new entry gets
    the `name`, and a status its `meaning`.
    """

    action: str
    entry: str = ""
    meaning: str = ""
    name: str = ""

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        return cls(**{each: str(stored.get(each, "")) for each in cls.__slots__})

    @property
    def token(self) -> str:
        """As the value of an option: "entry:12", "create", "create:qualified", "empty" or "row"."""
        return ":".join(filter(None, (self.action, self.entry or self.meaning)))

    @classmethod
    def from_token(cls, token: str, name: str) -> Self:
        """The choice with this token, for a value that is spelled like this."""
        action, _, detail = token.partition(":")
        if action == ValueAction.ENTRY:
            return cls(action, entry=detail)
        if action == ValueAction.CREATE:
            return cls(action, meaning=detail, name=name)
        return cls(action)


def spelled(text: str) -> str:
    """The text without repeated spaces, and without what no one sees in it."""
    return " ".join(without_formats(text).split())


def value_key(text: str) -> str:
    """Equal for values that differ by case, spaces or what no one sees. "" if there is nothing to see."""
    plain = spelled(text)
    if not is_seen(plain):
        return ""
    key = unicodedata.normalize("NFC", plain).casefold()
    if len(key) <= LONGEST_KEY:
        return key
    digest = blake2b(key.encode("utf-8", "replace"), digest_size=8).hexdigest()
    return f"{key[:LONGEST_KEY]}…{digest}"


def alike_key(text: str) -> str:
    """Equal for values that differ by case, accents and punctuation. "" if there is nothing else in it."""
    return "".join(each for each in folded(text) if each.isalnum())
