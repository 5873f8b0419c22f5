"""Looks for a person in all that an installation stores: tables, files, sessions and the cache.

Whatever way a text is stored in, it is found: packed, encrypted by us, in JSON, base64 or a URL, folded or composed.
"""

import base64
import binascii
import io
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote_plus

from django.core.cache import caches
from django.db import connection

from crm.models.crypto import Unreadable, unseal

DEPTH = 4  # ways of storing inside each other
BASE64 = re.compile(rb"[A-Za-z0-9_+/-]{16,}={0,2}")
ESCAPED = re.compile(r'\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|["\\/bfnrt])')
HEX = re.compile(rb"(?:[0-9a-fA-F]{2}){8,}")
URL_SAFE = bytes.maketrans(b"-_", b"+/")
FERNET, ZIP = b"gAAAA", b"PK\x03\x04"
PACKED = (b"\x78", b"\x1f\x8b", ZIP)  # zlib, gzip


def everything(*folders: Path) -> Iterator[tuple[str, bytes]]:
    """Everything stored, with the name of its place: the rows of each table as `pg_dump` writes them."""
    yield from rows()
    for folder in folders:
        for path in folder.rglob("*"):
            yield f"name of {path.name}", path.name.encode()
            if path.is_file():
                yield f"file {path.name}", path.read_bytes()
    for name in caches:
        yield f"cache {name}", repr(getattr(caches[name], "_cache", {})).encode()


def rows() -> Iterator[tuple[str, bytes]]:
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            with cursor.copy(f'COPY (SELECT * FROM "{table}") TO STDOUT') as copied:
                # All of them: nothing else can be done meanwhile.
                lines = [bytes(line) for line in copied]
            yield from ((table, line) for line in lines)


def found(
    needles: Iterable[str], places: Iterable[tuple[str, bytes]]
) -> dict[str, set[str]]:
    """In which places which of the needles are."""
    folds = {_folded(needle): needle for needle in needles}
    hits: dict[str, set[str]] = {}
    for place, stored in places:
        text = "\n".join(map(_folded, readings(stored)))
        if here := {needle for fold, needle in folds.items() if fold in text}:
            hits[place] = hits.get(place, set()) | here
    return hits


def _folded(text: str) -> str:
    """Without the difference between composed and decomposed letters, capitals and small ones."""
    return unicodedata.normalize("NFKD", text).casefold()


def readings(stored: bytes) -> set[str]:
    """The texts that these bytes may stand for, whatever they are packed in."""
    seen, left = {stored}, [(stored, DEPTH)]
    while left:
        packed, depth = left.pop()
        inner = (
            {each for each in _opened(packed) if _is_sensible(each)} - seen
            if depth
            else set()
        )
        seen |= inner
        left += [(each, depth - 1) for each in inner]
    return {
        each.decode(encoding, "replace")
        for each in seen
        for encoding in ("utf-8", "utf-16-le", "cp1252")
    }


def _is_sensible(opened: bytes) -> bool:
    """True for a text, and for something packed that can be opened further."""
    try:
        opened.decode()
    except UnicodeDecodeError:
        return opened.startswith(PACKED)
    return bool(opened)


def _opened(stored: bytes) -> Iterator[bytes]:
    text = stored.decode("utf-8", "replace")
    if "\\" in text:
        yield (
            ESCAPED.sub(_unescape, text)
            .encode("utf-16", "surrogatepass")
            .decode("utf-16", "replace")
            .encode()
        )
    if "%" in text or "+" in text:
        yield unquote_plus(text).encode()
    for match in BASE64.finditer(stored):
        yield from _decoded(match[0])
    for match in HEX.finditer(stored):
        yield bytes.fromhex(match[0].decode())
    yield from _unpacked(stored)


def _unescape(match: re.Match[str]) -> str:
    code = match[1]
    if code[0] in "ux" and len(code) > 1:
        return chr(int(code[1:], 16))
    return {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}.get(code, code)


def _decoded(text: bytes) -> Iterator[bytes]:
    if text.startswith(FERNET):
        with suppress(Unreadable):
            yield unseal(text.decode()).encode()
    bare = text.rstrip(b"=")
    with suppress(binascii.Error):
        yield base64.b64decode(bare.translate(URL_SAFE) + b"=" * (-len(bare) % 4))


def _unpacked(stored: bytes) -> Iterator[bytes]:
    with suppress(zlib.error):
        yield zlib.decompress(stored, wbits=zlib.MAX_WBITS | 32)  # gzip's, too
    if stored.startswith(ZIP):
        with (
            suppress(zipfile.BadZipFile),
            zipfile.ZipFile(io.BytesIO(stored)) as archive,
        ):
            yield from (archive.read(name) for name in archive.namelist())
