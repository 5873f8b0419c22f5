"""Recognises an export of a whole company among uploads, and reads its files within limits.

Nothing in it is trusted: only files that an export writes are read, and only as far as they say that they go.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from crm.data_exchange.importing.spreadsheets import UnreadableFile, is_spreadsheet
from crm.data_exchange.manifest import NAME, README, VERSION, Manifest

MAX_FILES: Final = 200
# Of all files together, and of the manifest, when unpacked.
MAX_UNPACKED: Final = 400 * 1024 * 1024
MAX_MANIFEST: Final = 64 * 1024
# The bit of an entry's flags that says that it is encrypted: APPNOTE.TXT of PKWARE, 4.4.4.
ENCRYPTED: Final = 0x1
# Where the name begins in the header of the first entry, and how an archive of ours may begin: 4.3.7.
NAME_AT: Final = 30
FIRST_NAMES: Final = tuple(name.encode() for name in (NAME, README))
OF_SPREADSHEETS: Final = ("[Content_Types].xml", "mimetype")
DAMAGED: Final = "This archive is damaged. Download it from the other company again."
ENCRYPTED_ARCHIVE: Final = (
    "This archive is encrypted. Upload it as it was downloaded, without a password."
)
NOT_OURS: Final = (
    "This is a ZIP archive, but not one of “Export everything”."
    " Unpack it, and import its files one by one."
)
TOO_OLD: Final = (
    "This archive was made by an older version of LeadMachine."
    " Update that installation, and export everything again."
)
TOO_NEW: Final = (
    "This archive was made by a newer version of LeadMachine."
    " Update this installation first."
)
TOO_LARGE: Final = (
    f"This archive unpacks to more than {MAX_UNPACKED // 2**20} MB."
    " Import its files one by one."
)


class Archive:
    """An export of a whole company. Raises UnreadableFile if it can't be imported."""

    def __init__(self, content: bytes) -> None:
        with _readable():
            self._zip = ZipFile(BytesIO(content))
        self._entries = {each.filename: each for each in self._zip.infolist()}
        _require_ours(self._entries)
        _require_limits(self._zip.infolist())
        self.manifest = self._manifest()

    def size(self, name: str) -> int:
        """The bytes of a file when unpacked; 0 if there is none of this name."""
        entry = self._entries.get(name)
        return entry.file_size if entry else 0

    def read(self, name: str) -> bytes:
        """The content of a file, b"" if there is none of this name. Raises UnreadableFile if it is damaged."""
        if name not in self._entries:
            return b""
        with _readable():
            return self._zip.read(name)

    def _manifest(self) -> Manifest:
        if NAME not in self._entries:
            raise UnreadableFile(TOO_OLD)
        if self.size(NAME) > MAX_MANIFEST:
            raise UnreadableFile(NOT_OURS)
        manifest = Manifest.parse(self.read(NAME))
        if manifest is None:
            raise UnreadableFile(NOT_OURS)
        if manifest.version != VERSION:
            raise UnreadableFile(TOO_NEW if manifest.version > VERSION else TOO_OLD)
        return manifest


def is_archive(content: bytes) -> bool:
    """True for a ZIP archive that is no spreadsheet. One that is damaged counts if it begins as ours do."""
    if not is_spreadsheet(content):
        return False
    try:
        with ZipFile(BytesIO(content)) as archive:
            names = archive.namelist()
    except Exception:  # whatever is wrong with it
        return content.startswith(FIRST_NAMES, NAME_AT)
    return not any(name in names for name in OF_SPREADSHEETS)


def _require_ours(entries: dict[str, ZipInfo]) -> None:
    is_ours = NAME in entries or {README, "leads.csv", "deals.csv"} <= entries.keys()
    if not is_ours:
        raise UnreadableFile(NOT_OURS)


def _require_limits(entries: list[ZipInfo]) -> None:
    """Raise UnreadableFile if there is too much in it, or something that isn't as exports write it."""
    if any(each.flag_bits & ENCRYPTED for each in entries):
        raise UnreadableFile(ENCRYPTED_ARCHIVE)
    unpacked = sum(each.file_size for each in entries)
    if len(entries) > MAX_FILES or unpacked > MAX_UNPACKED:
        raise UnreadableFile(TOO_LARGE)
    if any(each.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for each in entries):
        raise UnreadableFile(NOT_OURS)


@contextmanager
def _readable() -> Iterator[None]:
    """Raise UnreadableFile for whatever zipfile makes of a damaged archive."""
    try:
        yield
    except (
        BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        ValueError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise UnreadableFile(DAMAGED) from error
