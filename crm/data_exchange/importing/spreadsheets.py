"""Reads spreadsheets (XLSX, ODS) in a child process with limits on time, memory and disk.

A small file can claim a cell at the far corner of a sheet, or unpack to gigabytes: reading it would use up all memory.
Here it only ends the child, and a sentence says why the file is refused. The child writes CSV, which is then read like
any other CSV file.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

from crm.models.bidi import without_bidi_controls

SECONDS: Final = 30
LONGEST_NAME: Final = 40  # characters of a sheet's name. Excel allows 31
READER: Final = Path(__file__).with_name("spreadsheet_reader.py")
ZIPPED: Final = b"PK\x03\x04"  # both kinds are ZIP archives


class UnreadableFile(Exception):
    """The file can't be imported. The text is a sentence that says why, and what to do."""


def is_spreadsheet(content: bytes) -> bool:
    return content.startswith(ZIPPED)


def as_csv(content: bytes, notes: list[str]) -> bytes:
    """The first sheet that is not empty, as CSV in UTF-8. Raises UnreadableFile."""
    with TemporaryFile() as source, TemporaryFile() as result:
        source.write(content)
        source.seek(0)
        try:
            # Isolated: neither the environment nor the current folder decides what the child imports.
            child = subprocess.run(  # noqa: S603 - no word of the command comes from anybody
                [sys.executable, "-I", str(READER)],
                stdin=source,
                stdout=result,
                stderr=subprocess.PIPE,
                env={},
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise UnreadableFile(TOO_LARGE) from None
        if child.returncode:
            raise UnreadableFile(REFUSALS.get(child.returncode, TOO_LARGE))
        sheet = json.loads(child.stderr.rpartition(b"\n")[2])
        if sheet["count"] > 1:
            name = without_bidi_controls(
                "".join(filter(str.isprintable, sheet["name"]))
            )[:LONGEST_NAME]
            notes.append(
                f"The file has {sheet['count']} sheets, of which “{name}” is read."
            )
        result.seek(0)
        return result.read()


TOO_LARGE: Final = "This spreadsheet is too large. Delete what you don't need, or save the sheet as CSV."
REFUSALS: Final = {
    3: "This spreadsheet can't be read. Save it again as XLSX or ODS without a password, or as CSV.",
    4: "This spreadsheet is empty. Choose one that has rows.",
}
