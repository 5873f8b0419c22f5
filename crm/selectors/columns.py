"""The headings of the tables of leads and of deals, and the sort keys that they lead to."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from crm.models import Company

Sorting = TypeVar("Sorting")


@dataclass(frozen=True)
class Column(Generic[Sorting]):
    """A column. `order`, if it has one, returns the order of a company's rows, descending if the flag is set."""

    key: str
    label: str
    order: Callable[[Company, bool], Sorting] | None = None

    @property
    def css(self) -> str:
        """The end of its class in the stylesheet: custom fields share one."""
        return self.key.partition(".")[0]

    def toggled(self, sort: str) -> str:
        """The sort key after a click on this column's heading; "" if it can't be sorted by."""
        return "" if not self.order else f"-{self.key}" if sort == self.key else self.key

    def direction(self, sort: str) -> str:
        """The value of `aria-sort`, or ""."""
        return {self.key: "ascending", f"-{self.key}": "descending"}.get(sort, "")
