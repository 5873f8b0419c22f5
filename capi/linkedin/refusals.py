"""Finding in LinkedIn's text which elements it refuses, and whether it is the rule that it speaks of.

The wording is not promised. So text only finds the elements faster, and the one decision that rests on it (it is the
rule) is the one that holds events instead of losing them.
"""

import re
from collections.abc import Collection, Iterator

# "Conversion's method should be CONVERSIONS_API", and a disabled rule "counts as deleted and must be enabled".
_ABOUT_RULE = re.compile(
    r"\bCONVERSIONS_API\b|\b(?:conversion|rule)\b[^.]{0,120}\b(?:disabled|deleted|archived|enabled)\b", re.IGNORECASE
)
# "Conversion time should be within 90 days and not exceed current time".
_ABOUT_TIME = re.compile(r"\bcurrent time\b|\bin the future\b", re.IGNORECASE)
_INDICES = re.compile(r"\bindices\s{0,9}\[([0-9, ]*+)\](?: \(0-indexed\))?")
_INDEX = re.compile(r"\bIndex:\s{0,9}([0-9]{1,6})(?![0-9])[\s,]{0,9}")
_BATCH_INDEX = re.compile(r"\bbatchIndex\s{0,9}=\s{0,9}([0-9]{1,6})(?![0-9])")
# What differs between two elements with the same trouble: what is quoted, numbers, and what was masked.
_PARTICULARS = re.compile(r'"[^"]*"|(?<!\w)\'[^\']*\'|[0-9][0-9.,]*|•••')


def is_about_rule(text: str) -> bool:
    """True if the text speaks of the conversion rule's method or state, not of a person's data."""
    return _ABOUT_RULE.search(text) is not None


def is_about_time(text: str) -> bool:
    """True if the text says that an event lies in LinkedIn's future (or is too old, which it says in one breath)."""
    return _ABOUT_TIME.search(text) is not None


def named(text: str, *, count: int) -> dict[int, str]:
    """The elements that a refusal names, by index, each with what it says of them. Indexes out of range are left out.

    `indices [0, 3] (0-indexed)` and `Index: 0, ERROR :: …` were recorded, `batchIndex=0` is documented.
    """
    reasons: dict[int, list[str]] = {}
    for find in (_by_indices, _by_index, _by_batch_index):
        for index, reason in find(text):
            if index < count:
                reasons.setdefault(index, []).append(reason)
    return {index: " ".join(parts) for index, parts in sorted(reasons.items())}


def is_one_reason(reasons: Collection[str]) -> bool:
    """True if two or more elements are refused in the same words, but for numbers and quoted values.

    Never for a time: that is what a whole batch of fresh events meets where LinkedIn's clock is behind ours.
    """
    if len(reasons) < 2 or any(map(is_about_time, reasons)):
        return False
    return len({_PARTICULARS.sub("", reason) for reason in reasons}) == 1


def _by_indices(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for found in _INDICES.finditer(text):
        reason = text[start : found.start()].strip(" .,;")
        start = found.end()
        for number in found[1].split(","):
            if 0 < len(number.strip()) <= 6 and number.strip().isdecimal():
                yield int(number), reason


def _by_index(text: str) -> Iterator[tuple[int, str]]:
    _, *parts = _INDEX.split(text)
    for number, reason in zip(parts[::2], parts[1::2], strict=True):
        yield int(number), reason.strip()


def _by_batch_index(text: str) -> Iterator[tuple[int, str]]:
    if "batchIndex" in text:
        for part in re.split(r"[{}]", text):
            for found in _BATCH_INDEX.finditer(part):
                yield int(found[1]), part.strip()
