"""The forecast: the open deals of a pipeline by the month in which they are expected to close."""

from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncMonth

from crm.models import Company, Stage, StageMeaning, User
from crm.models.deal import DealQuerySet
from crm.selectors.boards import weighted, whole
from crm.selectors.charts import BarChart, Series, bar_chart

MONTHS: Final = 12  # that have a row of their own
LATE, UNDATED = "late", "undated"  # instead of a month


@dataclass
class Sums:
    """Deals in one currency: how many, their total, and their total weighted by the chance of their stages."""

    count: int = 0
    total: Decimal = Decimal(0)
    exact: Decimal = Decimal(0)

    def add(self, count: int, total: Decimal, chance: int) -> None:
        self.count += count
        self.total += total
        self.exact += weighted(total, chance)

    @property
    def weighted(self) -> Decimal:
        return whole(self.exact)


@dataclass
class ForecastRow:
    """The deals of a month, of an owner, or of another group. `query` finds them in the list of all deals.

    Deals in other currencies than the company's are in `others`, by currency, and in no sum of the company's.
    """

    label: str
    query: str
    is_late: bool = False
    own: Sums = field(default_factory=Sums)
    others: dict[str, Sums] = field(default_factory=lambda: defaultdict(Sums))

    @property
    def is_empty(self) -> bool:
        return not self.own.count and not self.others

    @property
    def other_sums(self) -> list[tuple[str, Sums]]:
        return sorted(self.others.items())


@dataclass(frozen=True)
class Forecast:
    """The months to come, then later ones; and `apart` from these, the overdue deals and those without a date."""

    currency: str
    months: Sequence[ForecastRow]
    apart: Sequence[ForecastRow]
    owners: Sequence[ForecastRow]
    total: ForecastRow
    chart: BarChart


def forecast_of(
    company: Company,
    stages: Sequence[Stage],
    deals: DealQuerySet,
    today: date,
    query: str,
) -> Forecast:
    """The forecast of these of the company's deals, in two queries. `query` finds them in the list of all deals."""
    chances = {stage.pk: stage.chance for stage in stages if stage.is_open}
    query = "&".join(filter(None, [query, f"meaning={StageMeaning.OPEN}"]))
    *months, after_them = _months(today)
    yesterday = today - timedelta(days=1)
    late = ForecastRow("Overdue", f"{query}&close_until={yesterday}", is_late=True)
    undated = ForecastRow("No close date", f"{query}&dated=no")
    later = ForecastRow("Later", f"{query}&close_from={after_them}")
    in_months = [_month_row(first, today, query) for first in months]
    rows = {LATE: late, UNDATED: undated}
    rows |= zip(map(str, months), in_months, strict=True)
    total, owners = ForecastRow("Total", query), _Owners(query)
    groups = _groups(deals.filter(stage__in=chances), today)
    for month, currency, owner, stage, count, amount in groups:
        for row in (rows.get(month, later), total, owners[owner]):
            sums = row.own if currency == company.currency else row.others[currency]
            sums.add(count, amount or Decimal(0), chances[stage])
    return Forecast(
        company.currency,
        in_months if later.is_empty else [*in_months, later],
        [row for row in (late, undated) if not row.is_empty],
        owners.named(),
        total,
        _chart(months, in_months),
    )


class _Month(TruncMonth):
    """TruncMonth of a date, in half the time: PostgreSQL doesn't look up when the day begins in a time zone."""

    def as_postgresql(
        self, compiler: Any, connection: Any, **_: Any
    ) -> tuple[str, Sequence[Any]]:
        day, params = compiler.compile(self.lhs)
        return f"DATE_TRUNC('month', {day}::timestamp)", params


def _groups(
    deals: DealQuerySet, today: date
) -> Iterable[tuple[str, str, int | None, int, int, Decimal | None]]:
    """Month (or LATE or UNDATED), currency, owner and stage of the deals, with their number and sum."""
    by_group = deals.order_by().annotate(
        is_late=Q(expected_close__lt=today), month=_Month("expected_close")
    )
    groups = by_group.values_list("is_late", "month", "currency", "owner", "stage")
    for is_late, month, *others in groups.annotate(Count("pk"), Sum("amount")):
        if month is None:
            yield UNDATED, *others
        elif is_late:
            yield LATE, *others
        else:
            yield str(month), *others


def _months(today: date) -> list[date]:
    """The first days of this month and the following ones, and the one after the last row."""
    first = today.year * 12 + today.month - 1
    return [
        date(month // 12, month % 12 + 1, 1)
        for month in range(first, first + MONTHS + 1)
    ]


def _month_row(first: date, today: date, query: str) -> ForecastRow:
    last = first.replace(day=monthrange(first.year, first.month)[1])
    period = urlencode({"close_from": max(first, today), "close_until": last})
    return ForecastRow(f"{first:%b %Y}", f"{query}&{period}")


class _Owners(dict[int | None, ForecastRow]):
    """A row for each owner, added when it is first asked for."""

    def __init__(self, query: str) -> None:
        super().__init__()
        self.query = query

    def __missing__(self, owner: int | None) -> ForecastRow:
        query = f"{self.query}&owner={owner or 'null'}"
        row = self[owner] = ForecastRow("No owner", query)
        return row

    def named(self) -> list[ForecastRow]:
        """The rows with the names of the owners, the highest weighted sum first."""
        users = User.objects.in_bulk([owner for owner in self if owner])
        for pk, user in users.items():
            self[pk].label = str(user)
        return sorted(self.values(), key=lambda row: (-row.own.exact, row.label))


def _chart(months: Sequence[date], rows: Sequence[ForecastRow]) -> BarChart:
    expected = [int(row.own.weighted) for row in rows]
    rest = [
        max(int(row.own.total) - sure, 0)
        for row, sure in zip(rows, expected, strict=True)
    ]
    series = [
        Series("weighted by chance", "good", expected),
        Series("the rest of the sum", "plain", rest),
    ]
    return bar_chart(months, series, is_monthly=True)
