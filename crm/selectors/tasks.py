"""Tasks for pages: each with how late it is, in the active time zone, which is the company's."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from crm.models import Company, Deal, Lead, Membership, Task
from crm.models.task import IN_ORDER

SUBJECTS = ("lead", "deal__lead")
# What a row shows: read whole, a task with its deal and lead has sixty columns.
ON_A_ROW: Final = (
    *("title", "kind", "due_on", "due_time", "done_at", "deal__title"),
    *(
        f"{lead}__{name}"
        for lead in SUBJECTS
        for name in ("first_name", "last_name", "email", "organisation", "erased_at")
    ),
)


@dataclass(frozen=True)
class TaskRow:
    """A task and the time at which the page shows it."""

    task: Task
    now: datetime

    @property
    def is_late(self) -> bool:
        return self.task.is_late(self.now)

    @property
    def is_today(self) -> bool:
        return self.task.due_on == self.now.date()

    @property
    def days_late(self) -> int:
        """How many days ago the task was due: 0 today."""
        return (self.now.date() - self.task.due_on).days

    @property
    def tone(self) -> str:
        """How urgent it is, as a colour: late, today or later."""
        if self.is_late:
            return "bad"
        return "wait" if self.is_today else "plain"


def task_rows(tasks: Iterable[Task]) -> list[TaskRow]:
    now = timezone.localtime()
    return [TaskRow(task, now) for task in tasks]


def open_tasks_of(subject: Lead | Deal) -> list[TaskRow]:
    """The open tasks about a lead and its deals, or about a deal. One query."""
    tasks = Task.objects.for_company(subject.company_id).open()
    own = (
        tasks.about(subject)
        if isinstance(subject, Lead)
        else tasks.filter(deal=subject)
    )
    return task_rows(own.in_order().select_related("owner", *SUBJECTS))


def tasks_of(membership: Membership, *, done: bool) -> QuerySet[Task]:
    """The member's tasks with what they are about: open ones in order of their days, done ones newest first."""
    own = (
        Task.objects.for_company(membership.company)
        .filter(owner=membership.user)
        .select_related(*SUBJECTS)
    )
    if done:
        return own.exclude(done_at=None).order_by("-done_at")
    return own.open().in_order()


def next_tasks(company: Company, deals: Sequence[Deal]) -> dict[int, TaskRow]:
    """The next open task of each of the company's deals that has one, by the deal's id. One query."""
    tasks = (
        Task.objects.for_company(company)
        .open()
        .filter(deal__in=[deal.pk for deal in deals])
    )
    by_day = Window(RowNumber(), partition_by=F("deal"), order_by=IN_ORDER)
    first = (
        tasks.annotate(rank=by_day)
        .filter(rank=1)
        .only("title", "due_on", "due_time", "done_at", "deal")
    )
    return {
        row.task.deal_id: row
        for row in task_rows(first)
        if row.task.deal_id is not None
    }
