"""The columns of a list: on its page, with the order that each heading leads to, and in a file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.functional import cached_property

from crm.lists.keyset import ByFields, EmptyLast, Order
from crm.models import Company

CUSTOM: Final = "custom."  # begins the key of a custom field's column
TEXT_CELL: Final = "crm/lists/cells/text.html"
DAY_CELL: Final = "crm/lists/cells/day.html"
OrderOf = Callable[[Company, bool], Order]


@dataclass(frozen=True)
class Column:
    """A column of a page. A fixed one is always shown, first.

    `order`, if it has one, returns the order of a company's rows, descending if the flag is set. `cell` is the template
    of its cells, which shows what `read` returns of a row. `css` is the end of its class in the stylesheet.
    """

    key: str
    label: str
    order: OrderOf | None = None
    read: Callable[[Any], Any] = str
    is_fixed: bool = False
    is_default: bool = True
    cell: str = TEXT_CELL
    style: str = ""

    @cached_property  # read for each cell
    def css(self) -> str:
        """The end of its class in the stylesheet: custom fields share one."""
        return self.style or self.key.partition(".")[0]

    def toggled(self, sort: str) -> str:
        """The sort key after a click on this column's heading; "" if it can't be sorted by."""
        if not self.order:
            return ""
        return f"-{self.key}" if sort == self.key else self.key

    def direction(self, sort: str) -> str:
        """The value of `aria-sort`, or ""."""
        return {self.key: "ascending", f"-{self.key}": "descending"}.get(sort, "")


def by(*fields: str) -> OrderOf:
    """By these fields, none of them NULL."""
    return lambda company, is_descending: ByFields(fields, is_descending)


def by_optional(field: str) -> OrderOf:
    """By a field that may be NULL."""
    return lambda company, is_descending: EmptyLast(field, is_descending)


@dataclass(frozen=True, slots=True)
class FileColumn:
    """A column of a file, with values that a program, or our own import, can read again.

    `of` is the key of the column on the list's page that it belongs to, "" if the page has none.
    """

    label: str
    read: Callable[[Any], object]
    of: str = ""

    @property
    def key(self) -> str:
        """Unique within a file. That of a custom field stays the same when the field is renamed."""
        return self.of if self.of.startswith(CUSTOM) else self.label


def with_keys(columns: Sequence[FileColumn], keys: Sequence[str]) -> list[FileColumn]:
    """The columns with these keys. A column that no longer exists is empty: all rows of a file are equally long."""
    by_key = {column.key: column for column in columns}
    return [by_key.get(key) or FileColumn(key, lambda row: "") for key in keys]
