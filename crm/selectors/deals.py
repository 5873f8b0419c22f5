"""The board of deals by stage."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import (
    BooleanField,
    Count,
    ExpressionWrapper,
    F,
    Max,
    Q,
    QuerySet,
    Sum,
    Value,
    Window,
)
from django.db.models.functions import RowNumber
from django.utils import timezone

from crm.lists.keyset import ByFields
from crm.models import Company, CrmEvent, CrmEventKind, Deal, Stage
from crm.models.deal import DealQuerySet
from crm.models.validators import is_number
from crm.selectors.boards import EPOCH, Board, BoardCard, BoardColumn
from crm.selectors.tags import tags_of
from crm.selectors.tasks import next_tasks

CARDS_PER_STAGE: Final = 25  # at first, and with each "Show more"
# In all columns together, when the board is drawn again with all that it showed.
FURTHER_AT_MOST: Final = 1_000
# Found by a search; with more, each stage soon has its cards.
RANKED_AT_MOST: Final = 5_000
CLOSED_DAYS: Final = 30  # how long a won or lost deal stays on the board
# Longer than a page takes: no card loses its day in between.
SINCE_THEY_WERE_FOUND: Final = timedelta(hours=1)
# A deal that was just moved is at the top of its new stage.
LAST_CHANGED: Final = ("-updated_at", "-pk")
BY_CHANGE: Final = ByFields(("updated_at",))  # the same, to read on from a position
ON_A_CARD: Final = (
    *(
        "title",
        "amount",
        "currency",
        "expected_close",
        "created_at",
        "updated_at",
        "stage_id",
    ),
    *(
        f"lead__{name}"
        for name in ("first_name", "last_name", "email", "organisation", "erased_at")
    ),
    *(f"owner__{name}" for name in ("first_name", "last_name", "email", "username")),
)
CLOSINGS: Final = CrmEvent.objects.filter(
    kind__in=(CrmEventKind.DEAL_WON, CrmEventKind.DEAL_LOST)
)


def board_of(
    company: Company,
    stages: Sequence[Stage],
    deals: DealQuerySet,
    *,
    shown: Mapping[int, int] | None = None,
    is_searched: bool = False,
) -> Board:
    """The board with these of the company's deals, in eight queries at most, however many stages and deals there are.

    An archived stage has a column while it has deals. `shown`: how many cards a column has, by its stage's id, where
    more than its first were shown. `is_searched`: the deals were found by a search.
    """
    columns = {stage.pk: BoardColumn(stage, company.currency) for stage in stages}
    sizes = _sizes(columns, shown or {})
    numbers_of = _numbers_of_found if is_searched else _numbers
    for pk, currency, is_on_board, count, total in numbers_of(company, columns, deals):
        columns[pk].add(currency, is_on_board=is_on_board, count=count, total=total)
    count_ever = sum(column.count_ever for column in columns.values())
    if is_searched and count_ever <= RANKED_AT_MOST:
        on_board = deals.filter(_on_board(company, columns), stage__in=columns)
        cards = _ranked(company, on_board, sizes)
    else:
        cards = _first_of_each(company, columns.values(), deals, sizes)
    _add_cards(company, columns, cards)
    for column in columns.values():
        # The two are not read at the same moment.
        following = max(0, column.count - len(column.cards))
        column.more = min(CARDS_PER_STAGE, following) if column.cards else 0
    return Board([column for column in columns.values() if column.is_shown])


def cards_after(
    company: Company, stage: Stage, deals: DealQuerySet, end: Sequence[Any] | None
) -> BoardColumn:
    """The next cards of a column with these of the company's deals, from where it ended (`end_in`), or its first.

    Without the column's counts and sums. Five queries, however long the column is.
    """
    column = BoardColumn(stage, company.currency)
    # Twice as many, to know how many follow. Only ids, which are in the index of the order.
    in_order = _of(column, company, deals).only("pk")
    found = BY_CHANGE.take(in_order, 2 * CARDS_PER_STAGE, beyond=end)
    keys = [deal.pk for deal in found]
    still_there = _still_there(company, keys[:CARDS_PER_STAGE], [stage.pk])
    _add_cards(company, {stage.pk: column}, still_there)
    column.more = len(keys[CARDS_PER_STAGE:]) if column.cards else 0
    return column


def end_in(text: str) -> tuple[datetime, int] | None:
    """A `BoardColumn.end` from a URL; None if it isn't one."""
    moment, _, pk = text.partition(".")
    if not (is_number(moment, digits=17) and is_number(pk)):
        return None
    return EPOCH + timedelta(microseconds=int(moment)), int(pk)


def _stages(columns: Mapping[int, BoardColumn], *, is_closed: bool) -> list[int]:
    return [pk for pk, column in columns.items() if column.is_closed == is_closed]


def _numbers(
    company: Company, columns: Mapping[int, BoardColumn], deals: DealQuerySet
) -> QuerySet[Deal, Any]:
    """The count of deals and the sum of their amounts, by stage, currency and whether they are on the board.

    Open deals have their own part of the query: together, PostgreSQL would look for each deal among the recently closed
    ones, and wouldn't see that an index has all it needs.
    """
    open_deals = deals.filter(stage__in=_stages(columns, is_closed=False))
    closed_deals = deals.filter(stage__in=_stages(columns, is_closed=True))
    counted = _counted(closed_deals, _closed_lately(company))
    return _counted(open_deals, Value(True)).union(counted, all=True)


def _numbers_of_found(
    company: Company, columns: Mapping[int, BoardColumn], deals: DealQuerySet
) -> QuerySet[Deal, Any]:
    """The same for deals found by a search: all are read for it anyway, so one part of a query is enough."""
    on_board = _on_board(company, columns)
    return _counted(deals.filter(stage__in=columns), on_board)


def _counted(deals: DealQuerySet, is_on_board: Q | Value) -> QuerySet[Deal, Any]:
    groups = deals.order_by().annotate(
        is_on_board=ExpressionWrapper(is_on_board, BooleanField())
    )
    by_group = groups.values_list("stage_id", "currency", "is_on_board")
    return by_group.annotate(count=Count("pk"), total=Sum("amount"))


def _sizes(stages: Iterable[int], shown: Mapping[int, int]) -> dict[int, int]:
    """How many cards each column has, by its stage's id: the first ones, and further ones that were shown."""
    left, sizes = FURTHER_AT_MOST, {}
    for pk in stages:
        further = min(max(shown.get(pk, 0) - CARDS_PER_STAGE, 0), left)
        left -= further
        sizes[pk] = CARDS_PER_STAGE + further
    return sizes


def _add_cards(
    company: Company, columns: Mapping[int, BoardColumn], deals: DealQuerySet
) -> None:
    with_names = deals.select_related("lead", "owner").only(*ON_A_CARD)
    shown = list(with_names.order_by(*LAST_CHANGED))
    closed_at = _closed_at(
        company, [deal.pk for deal in shown if columns[deal.stage_id].is_closed]
    )
    tasks = next_tasks(
        company, [deal for deal in shown if not columns[deal.stage_id].is_closed]
    )
    tags = tags_of(company, shown)
    for deal in shown:
        moment = closed_at.get(deal.pk)
        card = BoardCard(
            deal,
            moment and timezone.localdate(moment),
            tasks.get(deal.pk),
            tags.get(deal.pk, ()),
        )
        columns[deal.stage_id].cards.append(card)


def _still_there(
    company: Company, keys: Collection[int], stages: Collection[int]
) -> DealQuerySet:
    """The deals with these keys. One may be moved to a stage without a column before it is read."""
    return Deal.objects.for_company(company, keys=keys).filter(stage__in=stages)


def _closed_at(company: Company, deals: Collection[int]) -> dict[int, datetime]:
    """When these recently closed deals were last closed. One query.

    By company and time, as the deals were found: by deal alone, the index would be read for all companies and years.
    """
    closed = CLOSINGS.for_company(company).filter(
        deal__in=deals, occurred_at__gte=_lately() - SINCE_THEY_WERE_FOUND
    )
    return dict(closed.order_by().values_list("deal_id").annotate(Max("occurred_at")))


def _of(column: BoardColumn, company: Company, deals: DealQuerySet) -> DealQuerySet:
    if column.is_closed:
        deals = deals.filter(_closed_lately(company))
    return deals.filter(stage=column.stage)


def _first_of_each(
    company: Company,
    columns: Collection[BoardColumn],
    deals: DealQuerySet,
    sizes: Mapping[int, int],
) -> DealQuerySet:
    """The last changed deals of each column's stage. Two queries for the open stages, and one for the closed ones.

    A UNION reads the keys for all open stages: to rank deals within their stages, PostgreSQL would sort all of them.
    Closed deals are ranked: the recently closed ones are read once for all stages.
    """
    parts = [
        _of(column, company, deals)
        .order_by(*LAST_CHANGED)
        .values_list("pk", flat=True)[: sizes[column.stage.pk]]
        for column in columns
        if not column.is_closed
    ]
    keys = list(parts[0].union(*parts[1:], all=True)) if parts else []
    if closed := [column.stage for column in columns if column.is_closed]:
        closed_deals = deals.filter(_closed_lately(company), stage__in=closed)
        keys += _first_keys(closed_deals, sizes)
    return _still_there(company, keys, sizes)


def _ranked(
    company: Company, deals: DealQuerySet, sizes: Mapping[int, int]
) -> DealQuerySet:
    """Like `_first_of_each`, for the few deals found by a search: the search would run again for every stage.

    Two queries: PostgreSQL can't know how few deals each stage has left, and would read every lead for the cards.
    """
    keys = _first_keys(deals, sizes)
    return _still_there(company, keys, sizes)


def _first_keys(deals: DealQuerySet, sizes: Mapping[int, int]) -> list[int]:
    """The keys of the last changed deals, as many of each stage as its column has cards. One query."""
    by_change = Window(RowNumber(), partition_by=F("stage_id"), order_by=LAST_CHANGED)
    is_shown = Q(rank__lte=CARDS_PER_STAGE)
    for pk, size in sizes.items():
        if size > CARDS_PER_STAGE:
            is_shown |= Q(stage=pk, rank__lte=size)
    ranked = deals.order_by().annotate(rank=by_change)
    return list(ranked.filter(is_shown).values_list("pk", flat=True))


def _closed_lately(company: Company) -> Q:
    """Deals that were won or lost in the last CLOSED_DAYS."""
    closed = CLOSINGS.for_company(company).filter(
        occurred_at__gte=_lately(), deal__isnull=False
    )
    return Q(pk__in=closed.values("deal"))


def _on_board(company: Company, columns: Mapping[int, BoardColumn]) -> Q:
    """Open deals, and closed ones that were closed lately."""
    return Q(stage__in=_stages(columns, is_closed=False)) | _closed_lately(company)


def _lately() -> datetime:
    return timezone.now() - timedelta(days=CLOSED_DAYS)
