"""My day: what waits for one member. A fixed number of queries, however much that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from django.db.models import Count, Exists, F, Model, OuterRef, Q, QuerySet, Window
from django.utils import timezone
from django.utils.timesince import timesince

from crm.models import Attachment, Deal, Lead, LeadMeaning, Membership, Note, Task
from crm.selectors.tasks import SUBJECTS, TaskRow, task_rows
from crm.selectors.timeline import TimelineEntry, news_of

TASKS_AT_MOST: Final = 20
ROWS_AT_MOST: Final = 8
WAITS_LONG: Final = timedelta(days=2)
WAITS: Final = timedelta(days=1)

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
    """A new lead to whom nothing has been done yet."""

    lead: Lead
    now: datetime

    @property
    def waiting(self) -> str:
        """For how long, as "2 days"."""
        return timesince(self.lead.created_at, self.now, depth=1)

    @property
    def tone(self) -> str:
        waited = self.now - self.lead.created_at
        return "bad" if waited >= WAITS_LONG else "wait" if waited >= WAITS else "plain"


@dataclass(frozen=True)
class DealRow:
    """An open deal that needs something, and for how many days: since its close date, or since its last change."""

    deal: Deal
    days: int


@dataclass(frozen=True)
class MyDay:
    """What the page shows, each deal once: one that is past its close date is not listed as one without a task."""

    late: Section[TaskRow]
    today: Section[TaskRow]
    leads: Section[WaitingLead]
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
    tasks = Task.objects.for_company(membership.company).open().filter(owner=membership.user).select_related(*SUBJECTS)
    late, late_total = _first(tasks.filter(due_on__lt=now.date()).in_order(), TASKS_AT_MOST)
    today, today_total = _first(tasks.filter(due_on=now.date()).in_order(), TASKS_AT_MOST)
    leads, lead_total = _first(_untouched(membership), ROWS_AT_MOST)
    past, without_task = _deals(membership, now)
    yesterday = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    return MyDay(
        late=Section(task_rows(late), late_total),
        today=Section(task_rows(today), today_total),
        leads=Section([WaitingLead(lead, now) for lead in leads], lead_total),
        past_close=past,
        without_task=without_task,
        news=news_of(membership, since=yesterday, at_most=ROWS_AT_MOST),
    )


def _untouched(membership: Membership) -> QuerySet[Lead]:
    """The member's leads that are still new, without task, note, file or deal; those that wait longest first."""
    own = Lead.objects.for_company(membership.company).current().filter(owner=membership.user)
    kinds: tuple[Any, ...] = (Task.objects, Note.objects, Attachment.objects, Deal.objects)
    touches = [Exists(kind.for_company(membership.company).filter(lead=OuterRef("pk"))) for kind in kinds]
    new = own.filter(*(~touch for touch in touches), status__meaning=LeadMeaning.NEW)
    return new.order_by("created_at", "pk")


def _deals(membership: Membership, now: datetime) -> tuple[Section[DealRow], Section[DealRow]]:
    """The member's open deals that are past their close date, and the others without an open task."""
    tasks = Task.objects.for_company(membership.company).open().filter(deal=OuterRef("pk"))
    deals = Deal.objects.for_company(membership.company).open().filter(owner=membership.user)
    # The few that are shown fetch their leads afterwards: joined, all leads would be read to count the deals.
    deals = deals.prefetch_related("lead")
    is_past = Q(expected_close__lt=now.date())
    past, past_total = _first(deals.filter(is_past).order_by("expected_close", "pk"), ROWS_AT_MOST)
    not_past = deals.filter(Q(expected_close=None) | ~is_past)
    idle, idle_total = _first(not_past.filter(~Exists(tasks)).order_by("updated_at", "pk"), ROWS_AT_MOST)
    return (
        Section([DealRow(deal, (now.date() - (deal.expected_close or now.date())).days) for deal in past], past_total),
        Section([DealRow(deal, (now - deal.updated_at).days) for deal in idle], idle_total),
    )


def _first(rows: QuerySet[M], at_most: int) -> tuple[list[Any], int]:
    """The first rows and how many there are in all, in one query."""
    found: list[Any] = list(rows.annotate(total=Window(Count(F("pk"))))[:at_most])
    return found, found[0].total if found else 0
