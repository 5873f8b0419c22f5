"""Characters that turn the direction of the text around them: U+202E shows "Ada\u202eexe.pdf" as "Adafdp.exe".

Where a page shows a field itself, a <bdi> keeps them from the rest of the line. A module of its own, because a title, a
label, an option, a message and a mail have no elements, and what they show is the `str()` of a row.
"""

import re
from typing import Final

_CONTROLS: Final = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")


def without_bidi_controls(text: str) -> str:
    """The text in the order of its letters. Letters of a right-to-left script keep their own direction."""
    return _CONTROLS.sub("", text)


def file_name(typed: str, *, longest: int) -> str:
    """The name of an uploaded file for people, without its folders. Nothing is ever stored under it.

    Of a long one its end is kept, which says what kind of file it is.
    """
    base = re.split(r"[/\\]", typed)[-1]
    printable = "".join(character for character in base if character.isprintable())
    return without_bidi_controls(printable).strip()[-longest:].strip() or "file"
