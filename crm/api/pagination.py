"""Pages of a list, newest first: each costs the same, and rows that come in meanwhile shift none."""

from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request


class KeysetPagination(CursorPagination):
    """Follow `next` and `previous`; `?page_size=` asks for up to 500 rows. Raises NotFound for a made-up cursor, and
    ValidationError for what is no number of rows."""

    ordering = "-pk"
    page_size_query_param = "page_size"
    max_page_size = 500

    def get_page_size(self, request: Request) -> int | None:
        asked = request.query_params.get(self.page_size_query_param)
        if asked is not None and not (_is_id(asked) and int(asked)):
            raise ValidationError({self.page_size_query_param: ["Enter a whole number from 1 to 500."]})
        return super().get_page_size(request)

    def decode_cursor(self, request: Request) -> Cursor | None:
        cursor = super().decode_cursor(request)
        # The position goes into a comparison with an id: 18 digits fit every database's integer.
        if cursor is not None and cursor.position is not None and not _is_id(str(cursor.position)):
            raise NotFound(self.invalid_cursor_message)
        return cursor


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18
