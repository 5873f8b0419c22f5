"""The figures of all jobs and mails for /metrics: counts and times, without companies or people."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min

from crm.jobs.rounds import RUNNERS
from crm.models import AccountMail


@dataclass(frozen=True, slots=True)
class JobsAtWork:
    """The jobs of one kind and state that workers still have to work on."""

    kind: str
    state: str
    count: int
    oldest: datetime


def jobs_at_work() -> list[JobsAtWork]:
    """Return the number of jobs by kind and state, and when the oldest of each was requested."""
    return [
        JobsAtWork(runner.model._meta.model_name or "", state, count, oldest)
        for runner in RUNNERS
        for state, count, oldest in runner.waiting()
        .order_by()
        .values_list("state")
        .annotate(Count("pk"), Min("created_at"))
    ]


def mails_due() -> tuple[int, datetime | None]:
    """Return how many mails about accounts are to be sent, and when the oldest was written."""
    due = AccountMail.objects.filter(due_at__isnull=False)
    found = due.aggregate(count=Count("pk"), oldest=Min("created_at"))
    return found["count"], found["oldest"]
