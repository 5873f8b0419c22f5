"""Characters that change the direction of the text around them: U+202E shows "Ada\u202eexe.pdf" as "Adafdp.exe".

Where a page shows a field itself, a <bdi> isolates them from the rest of the line. Titles, labels, options, messages
and mails can't contain elements, and show the `str()` of a row: that is where these functions remove the characters.
"""

import re
from typing import Final

_CONTROLS: Final = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")


def without_bidi_controls(text: str) -> str:
    """The text in the order of its letters. Letters of a right-to-left script keep their own direction."""
    return _CONTROLS.sub("", text)


def file_name(typed: str, *, longest: int) -> str:
    """The display name of an uploaded file, without its folders. Nothing is ever stored under it.

    A long name keeps its end, which says what kind of file it is.
    """
    base = re.split(r"[/\\]", typed)[-1]
    printable = "".join(character for character in base if character.isprintable())
    return without_bidi_controls(printable).strip()[-longest:].strip() or "file"
