"""Rejects request bodies that no view accepts before anything reads them: the CSRF check would parse a whole form."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import (
    FileUploadHandler,
    MemoryFileUploadHandler,
    TemporaryFileUploadHandler,
)
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.multipartparser import MultiPartParserError
from django.template.loader import render_to_string
from django.urls import Resolver404, resolve

from crm.accounts.bodies import KB, BodyRule, rule_of
from crm.accounts.callers import PROGRAM_PATHS

API: Final = "/api/"
WITH_FILES: Final = ("multipart/form-data",)
JSON: Final = ("application/json",)
DISK_FULL: Final = (
    "Nothing was uploaded: the server has no room for it. Try again later, or contact"
    " the operator of LeadMachine."
)

logger = logging.getLogger(__name__)


class RequestBodiesMiddleware:
    """Rejects a body that is too long (413) or of the wrong type (415), before anything can read it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        length = _length(request)
        if not length:
            return self.get_response(request)
        rule = _rule(request)
        if length > rule.at_most:
            return _refused(
                request, 413, f"At most {_words(rule.at_most)} can be sent here."
            )
        kinds = _kinds(request, rule)
        if rule.read and (request.content_type not in kinds or not _is_utf_8(request)):
            return _refused(request, 415, f"Send this as {kinds[0]}, in UTF-8.")
        if rule.files:
            request.upload_handlers = [
                MemoryFileUploadHandler(request),
                SpooledFiles(request),
            ]
        return self.get_response(request)


class SpooledFiles(TemporaryFileUploadHandler):
    """Writes each larger file to the disk for temporary files. If that is full, the form is rejected (400)."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        with self._refusing():
            super().new_file(*args, **kwargs)

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        with self._refusing():
            super().receive_data_chunk(raw_data, start)

    def file_complete(self, file_size: int) -> "UploadedFile[Any] | None":
        with self._refusing():
            return super().file_complete(file_size)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            logger.exception("A file that was being uploaded could not be written.")
            with suppress(OSError):  # may raise again, for what is still in its buffer
                self.upload_interrupted()
            raise MultiPartParserError(DISK_FULL) from error


class NoFiles(FileUploadHandler):
    """Rejects each file before it is written (400). The handler of all views that accept no files."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        raise MultiPartParserError("No files can be sent here.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        """Never called."""

    def file_complete(self, file_size: int) -> None:
        """Never called."""


def _length(request: HttpRequest) -> int:
    """Return the length of the body in bytes. A chunked body has one too: waitress has counted it."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    return int(length) if length.isdecimal() else 0


def _kinds(request: HttpRequest, rule: BodyRule) -> tuple[str, ...]:
    if not request.path_info.startswith(API):
        return ("application/x-www-form-urlencoded", *WITH_FILES)
    return WITH_FILES if rule.files else JSON


def _is_utf_8(request: HttpRequest) -> bool:
    """False for a body in another encoding. Some of Python's raise errors where Django doesn't expect any."""
    charset = (request.content_params or {}).get("charset", "utf-8")
    return charset.strip().lower() in ("utf-8", "utf8")


def _words(size: int) -> str:
    return f"{size // KB} kB" if size < KB * KB else f"{size // KB // KB} MB"


def _rule(request: HttpRequest) -> BodyRule:
    try:
        return rule_of(resolve(request.path_info).func, request)
    except Resolver404:
        return BodyRule()


def _refused(request: HttpRequest, status: int, sentence: str) -> HttpResponse:
    if request.path_info.startswith(PROGRAM_PATHS):
        return JsonResponse({"detail": sentence}, status=status)
    return HttpResponse(
        render_to_string("400.html", {"sentence": sentence}), status=status
    )
