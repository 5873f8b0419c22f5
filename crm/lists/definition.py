"""What a list is. Page, saved views, bulk changes, export and REST API read it here."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import QuerySet
from django.utils.functional import cached_property

from crm.lists.columns import Column, FileColumn, OrderOf
from crm.lists.custom_fields import custom_columns
from crm.lists.filter_choices import FilterRequest
from crm.lists.filters import ListFilter
from crm.lists.keyset import ByFields, KeysetPage, Order, page_of
from crm.models import Company, CustomField, FieldSubject
from crm.models.key_selection import keys_of

ROWS_PER_PAGE = 25
COLUMNS_AT_MOST = 6  # on a page, without the fixed ones
LISTED_AT_MOST = 2  # custom fields with a column by default, in place of the source


NEWEST_FIRST = ByFields()


def _same(rows: QuerySet[Any]) -> QuerySet[Any]:
    return rows


@dataclass(frozen=True, kw_only=True)
class List:
    """A list of a company's rows.

    - `noun`: what a row is called. `page`: the name of its page's URL.
    - `rows`: the rows of a company that are on it, or with `keys` those of them with these ids. `filters`: the set of
      filters that narrow them.
    - `columns`: those of the page, to which custom fields of `subject` add theirs. `listed` adds what their cells read.
    - `sorts_ids`: if orders have no index, only ids are sorted, and then the rows of a page are read.
    - `default_order`: without a chosen column. `orders`: further ones of the API, by their keys.
    - `file_columns`: those of a file, which are the page's unless given. `in_file` adds what they read, and
      `also_in_file` says what a file has that the page hasn't.
    - `has_views`: its page has a tab for each saved view, and columns that members choose.
    """

    noun: str
    page: str
    rows: Callable[..., QuerySet[Any]]
    filters: type[ListFilter]
    columns: Sequence[Column]
    subject: FieldSubject | None = None
    listed: Callable[[QuerySet[Any]], QuerySet[Any]] = _same
    sorts_ids: bool = False
    default_order: Order = NEWEST_FIRST
    orders: Mapping[str, OrderOf] | None = None
    file_columns: Callable[[Company], Sequence[FileColumn]] | None = None
    in_file: Callable[[QuerySet[Any]], QuerySet[Any]] = _same
    also_in_file: str = ""
    has_views: bool = False

    @property
    def key(self) -> str:
        """The name of the list in addresses, exports and saved views."""
        return f"{self.noun}s"

    @property
    def label(self) -> str:
        return self.key.capitalize()

    # Columns and orders

    def custom_fields(self, company: Company) -> list[CustomField]:
        """The company's custom fields that the list has. One query."""
        return (
            list(CustomField.objects.of(company, self.subject).in_use())
            if self.subject
            else []
        )

    def offered(
        self, company: Company, custom_fields: Iterable[CustomField]
    ) -> list[Column]:
        """All columns that can be chosen, with one for each custom field."""
        return [*self.columns, *custom_columns(company, custom_fields)]

    @cached_property
    def sortable(self) -> Mapping[str, OrderOf]:
        """The orders that a heading of the page leads to, by the key of its column."""
        return {column.key: column.order for column in self.columns if column.order}

    def order(self, sort: str, company: Company) -> Order:
        """The order by a key, descending with a leading "-". The default order for an unknown key."""
        orders = {**self.sortable, **(self.orders or {})}
        order = orders.get(sort.removeprefix("-"))
        return order(company, sort.startswith("-")) if order else self.default_order

    def is_sorted_by(self, sort: str) -> bool:
        """True for the key of a column that can be sorted by, with or without a leading "-"."""
        return sort.removeprefix("-") in self.sortable

    # Rows

    def filtered(
        self,
        data: Mapping[str, str],
        *,
        request: FilterRequest,
        rows: QuerySet[Any] | None = None,
        recall: Callable[[str], str] = str,
        for_api: bool = False,
    ) -> ListFilter:
        """The filter set for these values, of all rows of the caller's company or of `rows`."""
        own = self.rows(request.membership.company) if rows is None else rows
        return self.filters(
            data,
            definition=self,
            queryset=own,
            request=request,
            recall=recall,
            for_api=for_api,
        )

    def page_of(
        self,
        rows: QuerySet[Any],
        company: Company,
        sort: str = "",
        *,
        after: str = "",
        before: str = "",
    ) -> KeysetPage[Any]:
        """A page of these rows of the company, with the related rows that the page shows."""
        page = page_of(
            rows.only("pk") if self.sorts_ids else self.listed(rows),
            self.order(sort, company),
            size=ROWS_PER_PAGE,
            known=self._all(company),
            after=after,
            before=before,
        )
        if not self.sorts_ids:
            return page
        found = {
            row.pk: row
            for row in self.listed(self.rows(company, keys=[row.pk for row in page]))
        }
        # One may just be deleted.
        return replace(page, rows=[found[row.pk] for row in page if row.pk in found])

    def keys(self, found: ListFilter, sort: str = "") -> Iterator[int]:
        """The ids of the rows that were found, in order."""
        return keys_of(self.order(sort, found.company).whole(found.qs))

    def count(self, found: ListFilter) -> int | None:
        """How many rows were found; None if counting is slow."""
        rows: QuerySet[Any] = found.qs
        return rows.order_by().count()

    # Files

    def exported(self, company: Company, keys: Sequence[int]) -> Mapping[int, Any]:
        """The rows with these ids that are still on the list, by id, with what the columns of a file read."""
        return {row.pk: row for row in self.in_file(self.rows(company, keys=keys))}

    def columns_in_file(
        self, company: Company, keys: Sequence[str] = ()
    ) -> list[FileColumn]:
        """The columns of a file for these columns of the page, in that order, or all columns.

        A key that no column has is left out: its custom field may have been removed.
        """
        if self.file_columns:
            columns = self.file_columns(company)
        else:
            offered = self.offered(company, self.custom_fields(company))
            columns = [
                FileColumn(column.label, column.read, column.key) for column in offered
            ]
        return (
            [column for key in keys for column in columns if column.of == key]
            if keys
            else [*columns]
        )

    def _all(self, company: Company) -> QuerySet[Any]:
        """All rows of the model, also those that have left the list."""
        manager: Any = self.rows(company).model._default_manager
        rows: QuerySet[Any] = manager.for_company(company)
        return rows


def columns_of(keys: Sequence[str], offered: Sequence[Column]) -> list[Column]:
    """The columns with these keys, in this order, after the fixed ones. The usual ones if there are no keys.

    A key that no offered column has is left out: its custom field may have been removed.
    """
    by_key = {column.key: column for column in offered}
    chosen = [by_key[key] for key in dict.fromkeys(keys) if key in by_key]
    shown = [column for column in chosen or _usual(offered) if not column.is_fixed]
    return [*(column for column in offered if column.is_fixed), *shown]


def _usual(offered: Sequence[Column]) -> list[Column]:
    """The columns shown if none are chosen: few enough to leave room for their content."""
    usual = [column for column in offered if column.is_default]
    custom = [column for column in usual if column.css == "custom"][:LISTED_AT_MOST]
    return [
        column
        for column in usual
        if column.css not in ("custom", *(["source"] if custom else []))
    ] + custom
