"""Keyset pagination, newest first: every page costs the same, and new rows don't shift the pages."""

from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request


class KeysetPagination(CursorPagination):
    """Follow `next` and `previous`; `?page_size=` can be up to 500.

    Raises NotFound for an invalid cursor and ValidationError for an invalid page size.
    """

    ordering = "-pk"
    page_size_query_param = "page_size"
    max_page_size = 500

    def get_page_size(self, request: Request) -> int | None:
        page_size = request.query_params.get(self.page_size_query_param)
        if page_size is not None and not (_is_id(page_size) and int(page_size)):
            raise ValidationError({self.page_size_query_param: ["Enter a whole number from 1 to 500."]})
        return super().get_page_size(request)

    def decode_cursor(self, request: Request) -> Cursor | None:
        cursor = super().decode_cursor(request)
        # The position is compared with an id: 18 digits fit every database's integer.
        if cursor is not None and cursor.position is not None and not _is_id(str(cursor.position)):
            raise NotFound(self.invalid_cursor_message)
        return cursor


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18
