"""What the board of deals shows: its columns, their cards and sums."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

from django.utils import timezone

from crm.models import Deal, Stage, StageMeaning, Tag
from crm.selectors.tasks import TaskRow

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def weighted(total: Decimal, chance: int) -> Decimal:
    """An amount weighted by its chance, in per cent."""
    return total * chance / 100


def whole(amount: Decimal) -> Decimal:
    """A weighted amount, rounded to show it: more digits would promise too much."""
    return amount.quantize(Decimal(1))


@dataclass(frozen=True)
class BoardCard:
    """A deal with the day it was won or lost, which is None for an open deal, and its next task, if it has one."""

    deal: Deal
    closed_on: date | None
    next_task: TaskRow | None = None
    tags: Sequence[Tag] = ()

    @property
    def name(self) -> str:
        """Whose deal it is: an organisation's or a person's."""
        return self.deal.lead.organisation or self.deal.lead.name

    @property
    def close_date(self) -> date | None:
        return self.closed_on or self.deal.expected_close

    @property
    def is_late(self) -> bool:
        """True for an open deal that was expected to close before today."""
        expected = self.deal.expected_close
        if self.closed_on is not None or expected is None:
            return False
        return expected < timezone.localdate()


@dataclass
class BoardColumn:
    """A stage with its most recently changed deals. A won or lost stage only has those of the last CLOSED_DAYS.

    `count` and the sums cover all of these. `count_ever` also covers deals that were won or lost earlier.
    """

    stage: Stage
    currency: str  # the company's
    cards: list[BoardCard] = field(default_factory=list)
    more: int = 0  # how many cards follow with the next "Show more"
    count: int = 0
    count_ever: int = 0
    sums: dict[str, Decimal] = field(default_factory=dict)

    def add(
        self, currency: str, *, is_on_board: bool, count: int, total: Decimal | None
    ) -> None:
        """Add the deals in one currency to the counts and sums, those on the board or the others."""
        self.count_ever += count
        if is_on_board:
            self.count += count
            if total:
                self.sums[currency] = total

    @property
    def is_closed(self) -> bool:
        return self.stage.meaning != StageMeaning.OPEN

    @property
    def is_shown(self) -> bool:
        """False for an archived stage without deals."""
        return self.stage.archived_at is None or self.count_ever > 0

    @property
    def is_cut(self) -> bool:
        return self.count_ever > len(self.cards)

    @property
    def end(self) -> str:
        """Where its cards end, for `cards_after`: when the last one's deal was changed, and the deal's id.

        Not the id alone: the deal may be moved to the top of another column, and reading on from there would repeat
        cards that are shown.
        """
        deal = self.cards[-1].deal
        return f"{(deal.updated_at - EPOCH) // timedelta(microseconds=1)}.{deal.pk}"

    @property
    def total(self) -> Decimal | None:
        """The sum in the company's currency, or None."""
        return self.sums.get(self.currency)

    @property
    def weighted(self) -> Decimal | None:
        """An open stage's total by its chance, in the company's currency, or None."""
        if self.is_closed or self.total is None:
            return None
        return weighted(self.total, self.stage.chance)

    @property
    def weighted_total(self) -> Decimal | None:
        """`weighted` to show; None where it would only repeat the total."""
        if self.weighted is None or self.stage.chance >= 100:
            return None
        return whole(self.weighted)

    @property
    def other_sums(self) -> list[tuple[str, Decimal]]:
        """The sums in other currencies, by currency."""
        return [
            (currency, total)
            for currency, total in sorted(self.sums.items())
            if currency != self.currency
        ]


@dataclass(frozen=True)
class Board:
    columns: Sequence[BoardColumn]

    @property
    def open_count(self) -> int:
        return sum(column.count for column in self._open)

    @property
    def open_total(self) -> Decimal:
        """The sum of the open deals in the company's currency."""
        return sum((column.total or Decimal(0) for column in self._open), Decimal(0))

    @property
    def open_weighted(self) -> Decimal:
        """The sum of the open deals, weighted by the chance of their stages, in the company's currency."""
        sums = (column.weighted or Decimal(0) for column in self._open)
        return whole(sum(sums, Decimal(0)))

    @property
    def is_empty(self) -> bool:
        return not any(column.count_ever for column in self.columns)

    @property
    def _open(self) -> list[BoardColumn]:
        return [column for column in self.columns if not column.is_closed]
