"""The pages of the API's lists: each costs the same, and new rows don't shift them."""

import json
from collections.abc import Sequence
from typing import Any, Final, cast

from django.core.exceptions import ValidationError as InvalidValue
from django.db.models import Field, Model, QuerySet
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

from crm.api.authentication import Caller
from crm.lists.definition import List
from crm.lists.keyset import InParts, Order
from crm.models import Membership
from crm.models.crypto import Unreadable, seal_for, unseal_for
from crm.models.validators import is_number

SESSION_PAGE_SIZE: Final = 100


class KeysetPagination(CursorPagination):
    """Newest first: every page costs the same, and new rows don't shift the pages.

    Follow `next` and `previous`; `?page_size=` can be up to 500, and 100 for a session, as on the pages.

    Raises NotFound for an invalid cursor and ValidationError for an invalid page size.
    """

    ordering = "-pk"
    page_size_query_param = "page_size"
    max_page_size = 500

    def get_page_size(self, request: Request) -> int | None:
        page_size = request.query_params.get(self.page_size_query_param)
        if page_size is not None and not (
            is_number(page_size) and 1 <= int(page_size) <= self.max_page_size
        ):
            raise ValidationError(
                {self.page_size_query_param: ["Enter a whole number from 1 to 500."]}
            )
        size = super().get_page_size(request)
        if size and isinstance(request.auth, Membership):
            return min(size, SESSION_PAGE_SIZE)
        return size

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """The parameters for the OpenAPI schema, with the limits of `get_page_size`."""
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            if parameter["name"] == self.page_size_query_param:
                parameter["schema"] |= {"minimum": 1, "maximum": self.max_page_size}
        return parameters

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """A page for the OpenAPI schema."""
        page: dict[str, Any] = super().get_paginated_response_schema(schema)
        for name in ("next", "previous"):
            # DRF's example is no URI by the format that it names.
            del page["properties"][name]["example"]
        return page

    def decode_cursor(self, request: Request) -> Cursor | None:
        # Like a missing one: the first page.
        if not request.query_params.get(self.cursor_query_param):
            return None
        cursor = super().decode_cursor(request)
        # Our cursors always have a position. A garbled cursor without would give the first page, and a client that
        # follows `next` would never reach the end.
        if cursor is not None and not self.is_position(str(cursor.position)):
            raise NotFound(self.invalid_cursor_message)
        return cursor

    def is_position(self, position: str) -> bool:
        """True for an id: 18 digits fit every database's integer."""
        return is_number(position)


ORDERING: Final = "ordering"
PLACE_IS_GONE: Final = (
    "What the list is sorted by has changed since this page. Start again at the first."
)
NO_ORDER: Final = "Choose one of: {}. A - in front of it sorts the other way round."


def orders_of(listed: List) -> list[str]:
    """The keys that the API sorts this list by."""
    return [*dict.fromkeys((*listed.sortable, *(listed.orders or {})))]


class ListPagination(KeysetPagination):
    """Newest first, or by `?ordering=`.

    The cursor of an order has the values of the row where a page ends, encrypted: they may be names of people. So rows
    that are changed or deleted meanwhile don't stop a client that follows `next`.
    """

    order: Order
    company_id: int
    base_url: str

    def paginate_queryset(
        self, queryset: Any, request: Request, view: Any = None
    ) -> list[Any] | None:
        self.sort = request.query_params.get(ORDERING)
        if self.sort is None:
            return super().paginate_queryset(queryset, request, view)
        listed: List = view.listed
        if self.sort.removeprefix("-") not in orders_of(listed):
            raise ValidationError(
                {ORDERING: [NO_ORDER.format(", ".join(orders_of(listed)))]}
            )
        company = cast(Caller, request.auth).company
        self.company_id, self.base_url = company.pk, request.build_absolute_uri()
        self.order = listed.order(self.sort, company)
        return self._page_of(queryset, request)

    def _page_of(self, queryset: QuerySet[Any], request: Request) -> list[Any]:
        size = self.get_page_size(request) or 1
        self.cursor = self.decode_cursor(request)
        is_reversed = self.cursor is not None and self.cursor.reverse
        beyond = None
        if self.cursor is not None:
            beyond = self._values(queryset.model, self.cursor.position)
        found = self.order.take(
            queryset, size + 1, beyond=beyond, is_reversed=is_reversed
        )
        has_more, self.page = len(found) > size, found[:size]
        if is_reversed:
            self.page.reverse()
        self.has_next = is_reversed or has_more
        self.has_previous = has_more if is_reversed else beyond is not None
        return self.page

    def get_next_link(self) -> str | None:
        if self.sort is None:
            return super().get_next_link()
        if self.page and self.has_next:
            return self._link(self.page[-1], is_reversed=False)
        return None

    def get_previous_link(self) -> str | None:
        if self.sort is None:
            return super().get_previous_link()
        if self.page and self.has_previous:
            return self._link(self.page[0], is_reversed=True)
        return None

    def _link(self, row: Model, *, is_reversed: bool) -> str:
        place = json.dumps([self.sort, *self.order.position(row)], default=str)
        return self.encode_cursor(
            Cursor(0, is_reversed, cast(Any, seal_for(self.company_id, place)))
        )

    def is_position(self, position: str) -> bool:
        return self.sort is not None or super().is_position(position)

    def _values(self, model: type[Model], position: Any) -> Sequence[Any]:
        """The position in a cursor. Raises NotFound if it is another order's, or not ours, or no longer exists."""
        try:
            sort, *values = json.loads(unseal_for(self.company_id, position))
            if sort != self.sort:
                raise NotFound(self.invalid_cursor_message)
            found = [
                None if value is None else _field(model, name).to_python(value)
                for name, value in zip(self.order.names, values, strict=True)
            ]
        except (Unreadable, InvalidValue, ValueError) as error:
            raise NotFound(self.invalid_cursor_message) from error
        if isinstance(self.order, InParts) and self.order.part_of(found) is None:
            # Its status, stage or person is gone. The first page would be read again.
            raise NotFound(PLACE_IS_GONE)
        return found


def _field(model: type[Model], name: str) -> "Field[Any, Any]":
    """The field of this name, as `Order.names` has it."""
    *relations, last = name.split("__")
    for relation in relations:
        model = cast(type[Model], model._meta.get_field(relation).related_model)
    if last == "pk":
        return model._meta.pk
    return cast("Field[Any, Any]", model._meta.get_field(last))
