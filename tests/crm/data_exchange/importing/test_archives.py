"""Exports of a whole company are recognised; those that can't be imported are refused with the reason."""

import io
import json
import zipfile
from collections.abc import Mapping
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZipFile

import pytest

from crm.data_exchange.importing import archives
from crm.data_exchange.importing.archives import Archive, is_archive
from crm.data_exchange.importing.spreadsheets import UnreadableFile
from crm.data_exchange.manifest import Manifest

MANIFEST = Manifest(company="Acme", system="leadmachine-0a1b2c3d")
OURS = {"manifest.json": MANIFEST.as_bytes(), "leads.csv": b"Lead number\r\n1\r\n"}


def packed(files: Mapping[str, bytes], method: int = ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with ZipFile(file, "w", method) as zipped:
        for name, content in files.items():
            zipped.writestr(name, content)
    return file.getvalue()


def with_manifest(**changes: object) -> bytes:
    read = {**json.loads(MANIFEST.as_bytes()), **changes}
    return packed({**OURS, "manifest.json": json.dumps(read).encode()})


def refusal(content: bytes) -> str:
    with pytest.raises(UnreadableFile) as error:
        Archive(content)
    return str(error.value)


def test_an_archive_is_read_with_what_its_manifest_says() -> None:
    archive = Archive(packed(OURS))

    assert archive.manifest == MANIFEST
    assert archive.read("leads.csv") == OURS["leads.csv"]
    assert archive.size("leads.csv") == len(OURS["leads.csv"])
    assert (archive.read("deals.csv"), archive.size("deals.csv")) == (b"", 0)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (packed(OURS), True),
        (packed({"photo.png": b"..."}), True),
        (packed({"[Content_Types].xml": b"<x/>", "xl/workbook.xml": b"<x/>"}), False),
        (packed({"mimetype": b"application/vnd.oasis.opendocument.spreadsheet"}), False),
        (packed(OURS)[:100], True),  # a download that broke off
        (packed({"[Content_Types].xml": b"<x/>"})[:60], False),
        (b"Lead number,E-mail\r\n", False),
    ],
    ids=lambda value: "",
)  # fmt: skip
def test_an_archive_is_told_from_a_spreadsheet(content: bytes, expected: bool) -> None:
    assert is_archive(content) is expected


def test_another_archive_is_refused() -> None:
    assert refusal(packed({"photo.png": b"..."})) == archives.NOT_OURS


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (with_manifest(version=2), archives.TOO_NEW),
        (with_manifest(version=0), archives.TOO_OLD),
        (with_manifest(version="1"), archives.NOT_OURS),
        (with_manifest(version=True), archives.NOT_OURS),
        (with_manifest(format="other"), archives.NOT_OURS),
        (with_manifest(system=None), archives.NOT_OURS),
        (packed({**OURS, "manifest.json": b"[" * 60_000}), archives.NOT_OURS),
        (packed({**OURS, "manifest.json": b" " * 100_000}), archives.NOT_OURS),
        (packed({"README.txt": b"", "leads.csv": b"", "deals.csv": b""}), archives.TOO_OLD),
    ],
    ids=lambda value: "",
)  # fmt: skip
def test_a_manifest_that_says_something_else_is_refused(
    content: bytes, reason: str
) -> None:
    assert refusal(content) == reason


def test_a_damaged_archive_is_refused() -> None:
    whole = packed(OURS)

    assert refusal(whole[:100]) == archives.DAMAGED
    at = whole.index(b"leads.csv") + len("leads.csv") + 1
    changed = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
    archive = Archive(changed)
    with pytest.raises(UnreadableFile, match="damaged"):
        archive.read("leads.csv")


def test_an_encrypted_archive_is_refused() -> None:
    content = bytearray(packed(OURS))
    for header, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.index(header) + flags
        content[at] |= archives.ENCRYPTED

    assert refusal(bytes(content)) == archives.ENCRYPTED_ARCHIVE


def test_an_archive_that_unpacks_to_too_much_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(archives, "MAX_UNPACKED", 1_000_000)

    bomb = packed({**OURS, "leads.csv": b"0" * 1_000_001})
    assert len(bomb) < 3_000
    assert refusal(bomb) == archives.TOO_LARGE
    assert Archive(packed({**OURS, "leads.csv": b"0" * 900_000})).size("leads.csv")


def test_a_bomb_that_claims_to_be_small_is_not_read_beyond_that() -> None:
    content = packed({**OURS, "leads.csv": b"0" * 5_000_000})
    claimed = (5_000_000).to_bytes(4, "little")
    lying = content.replace(claimed, (10).to_bytes(4, "little"))

    archive = Archive(lying)
    assert archive.size("leads.csv") == 10
    with pytest.raises(UnreadableFile, match="damaged"):
        archive.read("leads.csv")


def test_too_many_files_and_unusual_compression_are_refused() -> None:
    many = {f"{number}.csv": b"" for number in range(archives.MAX_FILES)}

    assert refusal(packed({**OURS, **many})) == archives.TOO_LARGE
    assert refusal(packed(OURS, ZIP_BZIP2)) == archives.NOT_OURS


def test_files_that_overlap_are_refused() -> None:
    """A bomb whose entries share their data: D. Fifield, "A better zip bomb", 2019."""
    content = packed({**OURS, "deals.csv": b"0" * 5_000})
    with ZipFile(io.BytesIO(content)) as zipped:
        places = [entry.header_offset for entry in zipped.infolist()]
    first, last = places[1], places[2]
    directory = content.index(b"PK\x01\x02")
    overlapping = content[:directory] + content[directory:].replace(
        first.to_bytes(4, "little"), last.to_bytes(4, "little")
    )

    assert zipfile.is_zipfile(io.BytesIO(overlapping))
    archive = Archive(overlapping)
    with pytest.raises(UnreadableFile, match="damaged"):
        archive.read("leads.csv")
