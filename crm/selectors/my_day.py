"""My day: what waits for one member. A fixed number of queries, however much that is."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Generic, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import Count, Exists, F, Model, OuterRef, Q, QuerySet, Window
from django.utils import timezone
from django.utils.timesince import timesince

from crm.models import (
    Attachment,
    Deal,
    DealPerson,
    Lead,
    LeadMeaning,
    LeadStatus,
    Membership,
    Note,
    Stage,
    StageMeaning,
    Task,
)
from crm.models.lead import LeadQuerySet
from crm.selectors.counts import CountOf
from crm.selectors.tasks import ON_A_ROW, SUBJECTS, TaskRow, task_rows
from crm.selectors.timeline import TimelineEntry, news_of

TASKS_AT_MOST: Final = 20
ROWS_AT_MOST: Final = 8
# That are checked for untouched ones: 4 ms, where 25,000 take 20 ms.
LEADS_AT_MOST: Final = 5_000
WAITS_LONG: Final = timedelta(days=2)
WAITS: Final = timedelta(days=1)
# What may have been done about a lead.
TOUCHES: Final[Sequence[type[Model]]] = (Task, Note, Attachment, Deal, DealPerson)
# What the page shows of them: the rows have twice as many columns.
OF_A_LEAD: Final = (
    "first_name",
    "last_name",
    "email",
    "phone",
    "organisation",
    "source",
    "created_at",
    "erased_at",
)
OF_A_DEAL: Final = (
    *("title", "amount", "currency", "expected_close", "updated_at"),
    *(
        f"lead__{name}"
        for name in ("first_name", "last_name", "email", "organisation", "erased_at")
    ),
)

R = TypeVar("R")
M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Section(Generic[R]):
    """The first rows of a list, and how many there are in all."""

    rows: Sequence[R]
    total: int

    @property
    def hidden(self) -> int:
        return self.total - len(self.rows)


@dataclass(frozen=True)
class WaitingLead:
    """A new lead that no one has touched yet."""

    lead: Lead
    now: datetime

    @property
    def waiting(self) -> str:
        """For how long, as "2 days"."""
        return timesince(self.lead.created_at, self.now, depth=1)

    @property
    def tone(self) -> str:
        waited = self.now - self.lead.created_at
        if waited >= WAITS_LONG:
            return "bad"
        return "wait" if waited >= WAITS else "plain"


@dataclass(frozen=True)
class NewLeads(Section[WaitingLead]):
    """A member's untouched new leads. `newest`: how many of the newest were checked; None if all were.

    No column of a lead says that it is untouched.
    """

    newest: int | None


@dataclass(frozen=True)
class DealRow:
    """An open deal that needs something, and for how many days: since its close date, or since its last change."""

    deal: Deal
    days: int


@dataclass(frozen=True)
class MyDay:
    """What the page shows, each deal once: one past its close date isn't listed as one without a task."""

    late: Section[TaskRow]
    today: Section[TaskRow]
    leads: NewLeads
    past_close: Section[DealRow]
    without_task: Section[DealRow]
    news: Sequence[TimelineEntry]

    @property
    def task_count(self) -> int:
        return self.late.total + self.today.total

    @property
    def deal_count(self) -> int:
        return self.past_close.total + self.without_task.total


def my_day_of(membership: Membership) -> MyDay:
    """The member's day, in the active time zone, which is the company's."""
    now = timezone.localtime()
    late, today = _tasks(membership, now)
    past, without_task = _deals(membership, now)
    yesterday = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(
        days=1
    )
    return MyDay(
        late=late,
        today=today,
        leads=_leads(membership, now),
        past_close=past,
        without_task=without_task,
        news=news_of(membership, since=yesterday, at_most=ROWS_AT_MOST),
    )


def _tasks(
    membership: Membership, now: datetime
) -> tuple[Section[TaskRow], Section[TaskRow]]:
    """The member's open tasks of the days before, and those of today."""
    open_tasks = (
        Task.objects.for_company(membership.company)
        .open()
        .filter(owner=membership.user)
        .in_order()
    )
    late = _first(open_tasks.filter(due_on__lt=now.date()), TASKS_AT_MOST)
    today = _first(open_tasks.filter(due_on=now.date()), TASKS_AT_MOST)
    shown = (
        Task.objects.for_company(membership.company)
        .select_related(*SUBJECTS)
        .only(*ON_A_ROW)
    )
    rows = _by_key(shown, late, today)
    return late.with_rows(task_rows, rows), today.with_rows(task_rows, rows)


def _leads(membership: Membership, now: datetime) -> NewLeads:
    """The member's leads that are still new, without task, note, file or deal, longest waiting first.

    Of more than LEADS_AT_MOST new leads, the newest are checked.
    """
    new = LeadStatus.objects.for_company(membership.company).filter(
        meaning=LeadMeaning.NEW
    )
    own = (
        Lead.objects.for_company(membership.company)
        .current()
        .filter(owner=membership.user)
    )
    # The statuses are read first, and what is about a lead belongs to its company anyway: so PostgreSQL finds all it
    # needs in indexes, and reads no more there than the member's new leads.
    own = own.filter(status__in=list(new.values_list("pk", flat=True)))
    found, new_leads = _untouched(own)
    rows = _by_key(Lead.objects.for_company(membership.company).only(*OF_A_LEAD), found)
    section = found.with_rows(
        lambda leads: [WaitingLead(lead, now) for lead in leads], rows
    )
    return NewLeads(
        section.rows,
        section.total,
        LEADS_AT_MOST if new_leads > LEADS_AT_MOST else None,
    )


# One step for each kind, with the leads that the steps before have left. With an array, PostgreSQL reads on in the
# index from one lead to the next; with NOT EXISTS it starts at the root for each: 75 ms for 25,000 leads instead of 16.
# There is a row even if no lead is left, because it also says how many new leads there are.
STEP: Final = (
    "{step} AS (SELECT id, created_at FROM {before} WHERE id NOT IN ("
    "SELECT lead_id FROM {table} WHERE lead_id = ANY(ARRAY(SELECT id FROM {before}))))"
)
FIRST_OF_STEPS: Final = (
    "WITH own (id, created_at) AS ({own}), "
    "newest AS (SELECT id, created_at FROM own ORDER BY created_at DESC, id DESC LIMIT {looked_through}), {steps} "
    "SELECT number, untouched.id, untouched.total FROM (SELECT count(*) AS number FROM own) AS new_leads "
    "LEFT JOIN (SELECT id, created_at, count(*) OVER () AS total FROM {last} ORDER BY created_at, id LIMIT {at_most}) "
    "AS untouched ON true ORDER BY untouched.created_at, untouched.id"
)


def _untouched(leads: LeadQuerySet) -> tuple["_Keys", int]:
    """The keys of the untouched ones among the newest LEADS_AT_MOST leads, oldest first, and how many leads there are.

    They are counted up to LEADS_AT_MOST + 1. One query.
    """
    counted = leads.order_by("-created_at", "-pk").values("pk", "created_at")[
        : LEADS_AT_MOST + 1
    ]
    try:
        own, params = counted.query.sql_with_params()
    except EmptyResultSet:  # the company has no status that means new
        return _Keys([], 0), 0
    names = ["newest", *(f"without_{kind._meta.model_name}" for kind in TOUCHES)]
    steps = [
        STEP.format(step=step, before=before, table=kind._meta.db_table)
        for kind, before, step in zip(TOUCHES, names, names[1:], strict=False)
    ]
    statement = FIRST_OF_STEPS.format(
        own=own,
        looked_through=LEADS_AT_MOST,
        steps=", ".join(steps),
        last=names[-1],
        at_most=ROWS_AT_MOST,
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        rows = cursor.fetchall()
    return _keys([(key, total) for _, key, total in rows if key is not None]), rows[0][
        0
    ]


def _deals(
    membership: Membership, now: datetime
) -> tuple[Section[DealRow], Section[DealRow]]:
    """The member's open deals that are past their close date, and the others without an open task."""
    tasks = Task.objects.open().filter(deal=OuterRef("pk"))
    # The stages are read first, like the statuses of leads: with a join, the tasks of all deals would be read.
    stages = (
        Stage.objects.for_company(membership.company)
        .filter(meaning=StageMeaning.OPEN)
        .order_by()
    )
    deals = Deal.objects.for_company(membership.company).filter(
        owner=membership.user, stage__in=list(stages.values_list("pk", flat=True))
    )
    is_past = Q(expected_close__lt=now.date())
    past = _first(deals.filter(is_past).order_by("expected_close", "pk"), ROWS_AT_MOST)
    not_past = deals.filter(Q(expected_close=None) | ~is_past)
    idle = _first_of_few(
        not_past.filter(~Exists(tasks)).order_by("updated_at", "pk"), ROWS_AT_MOST
    )
    rows = _by_key(
        Deal.objects.for_company(membership.company)
        .select_related("lead")
        .only(*OF_A_DEAL),
        past,
        idle,
    )

    def since_close(deals: Iterable[Deal]) -> list[DealRow]:
        return [
            DealRow(deal, (now.date() - (deal.expected_close or now.date())).days)
            for deal in deals
        ]

    def since_change(deals: Iterable[Deal]) -> list[DealRow]:
        return [DealRow(deal, (now - deal.updated_at).days) for deal in deals]

    return past.with_rows(since_close, rows), idle.with_rows(since_change, rows)


@dataclass(frozen=True)
class _Keys:
    """The keys of the first rows, and how many rows there are in all."""

    first: Sequence[int]
    total: int

    def with_rows(
        self, shown: Callable[[Iterable[M]], Sequence[R]], rows: Mapping[int, M]
    ) -> Section[R]:
        return Section(
            shown(rows[key] for key in self.first if key in rows), self.total
        )


def _first(rows: QuerySet[M], at_most: int) -> _Keys:
    """The first keys and the count, in one query. With all that the page shows, every row would be read and joined.

    The count is a subquery: if an index has all it needs, no rows are read except the first ones.
    """
    return _keys(
        list(rows.values_list("pk", CountOf(rows.order_by().values("pk")))[:at_most])
    )


def _first_of_few(rows: QuerySet[M], at_most: int) -> _Keys:
    """The same where finding the rows takes longest: they are found once, and counted in the same pass."""
    return _keys(list(rows.values_list("pk", Window(Count(F("pk"))))[:at_most]))


def _keys(found: Sequence[tuple[int, int]]) -> _Keys:
    """The keys from rows of a key and the count of all rows."""
    return _Keys([key for key, _ in found], found[0][1] if found else 0)


def _by_key(rows: QuerySet[M], *found: _Keys) -> dict[int, M]:
    """The rows that are shown, by key, in one query, if there are any."""
    return rows.in_bulk([key for keys in found for key in keys.first])
