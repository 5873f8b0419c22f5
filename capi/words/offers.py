"""What is said where rules of LinkedIn's are left out of the import, or not read at all."""

from typing import Final

from capi.words import Words

WRONG_SOURCE: Final = Words(
    "Left out",
    "Its source is not the Conversions API.",
    "Set its source to “Conversions API (direct)” in Campaign Manager, then read the list again.",
    "plain",
)
SWITCHED_OFF: Final = Words(
    "Left out", "It is switched off in Campaign Manager.", "Enable it there, then read the list again.", "plain"
)


def too_often(sentence: str) -> Words:
    """That the list was read as often as a minute allows; the sentence says when to try again."""
    return Words("Not now", sentence, "", "wait")
