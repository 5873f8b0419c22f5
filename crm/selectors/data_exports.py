"""Exports for their pages, and the content of their files."""

from collections.abc import Iterator
from typing import Final
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from django.http import StreamingHttpResponse
from django.utils.timezone import localtime

from crm.data_exchange import manifest
from crm.data_exchange.exporting import archive
from crm.models import DataExport, ExportFormat, ExportPart, Membership
from crm.selectors.streaming import in_time, streamed, take_slot

LISTED: Final = 50
CONTENT_TYPES: Final = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ExportFormat.ZIP: "application/zip",
}


class FileGone(Exception):
    """The file was deleted while it was read. The reader must not mistake the part for the whole."""


def exports_of(membership: Membership) -> list[DataExport]:
    """The exports that the member may see, the newest first. One query."""
    return list(
        DataExport.objects.open_to(membership)
        .kept()
        .select_related("made_by", "api_key")[:LISTED]
    )


def download_of(data_export: DataExport) -> StreamingHttpResponse:
    """The response with the file. Raises TooOften if the company downloads too many at a time."""
    slot = take_slot(data_export.company_id)
    return streamed(
        in_time(content_of(data_export)),
        slot,
        name=data_export.file_name,
        content_type=CONTENT_TYPES[ExportFormat(data_export.format)],
        size=None if data_export.format == ExportFormat.ZIP else data_export.size,
    )


def content_of(data_export: DataExport) -> Iterator[bytes]:
    """The file, piece by piece. Raises FileGone if it is deleted meanwhile."""
    if data_export.format == ExportFormat.ZIP:
        return _archive(data_export)
    return _parts(data_export, 0)


def _parts(data_export: DataExport, file: int) -> Iterator[bytes]:
    parts = ExportPart.objects.filter(data_export=data_export)
    for pk in list(parts.filter(file=file).order_by("pk").values_list("pk", flat=True)):
        part = parts.filter(pk=pk).first()
        if part is None:
            raise FileGone(f"Export {data_export.pk} is no longer there.")
        yield part.read()


class _Outbox:
    """A write-only file: what is written to it is taken out at once."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _archive(data_export: DataExport) -> Iterator[bytes]:
    """The files of a company as a ZIP archive, made while it is read."""
    outbox = _Outbox()
    company = data_export.company
    files = [
        (file.name, _parts(data_export, number))
        for number, file in enumerate(archive.FILES)
    ]
    with ZipFile(outbox, "w") as zipped:  # type: ignore[call-overload]
        for name, content in [
            (manifest.README, iter([archive.readme(company).encode()])),
            (manifest.NAME, iter([manifest.Manifest.of(company).as_bytes()])),
            *files,
        ]:
            info = ZipInfo(name, localtime(data_export.created_at).timetuple()[:6])
            info.compress_type = ZIP_DEFLATED
            with zipped.open(info, "w", force_zip64=True) as file:
                for piece in content:
                    file.write(piece)
                    yield outbox.take()
    yield outbox.take()
