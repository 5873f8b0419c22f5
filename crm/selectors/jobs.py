"""Background jobs of all kinds for their page: what is running, and what has ended lately."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.db.models import Case, Q, Value, When
from django.db.models.functions import Now
from django.urls import reverse

from crm.jobs.rounds import RUNNERS
from crm.models import Membership
from crm.models.job import AT_WORK, Job

SHOWN_FOR: Final = timedelta(days=3)  # after its end
OF_EACH: Final = 50  # kind


@dataclass(frozen=True, slots=True)
class ListedJob:
    """A job, the kind that it is of, and the address that cancels it: "" if that is not possible."""

    job: Job
    noun: str
    cancel_url: str
    asks_before_cancel: bool


def jobs_of(membership: Membership) -> list[ListedJob]:
    """The jobs that the member requested, or all of the company's for one who manages it. One query for each kind.

    Those that are at work are first, and the newest of each.
    """
    # An import that is being undone has ended before.
    is_at_work = Q(state__in=AT_WORK)
    ended_lately = Q(finished_at__gt=Now() - SHOWN_FOR)
    shown = is_at_work | Q(finished_at=None) | ended_lately
    at_work_first = Case(When(is_at_work, then=Value(0)), default=Value(1))
    listed = []
    for runner in RUNNERS:
        jobs = (
            runner.model.objects.open_to(membership)
            .kept()
            .filter(shown)
            .select_related(*runner.related)
        )
        for job in jobs.order_by(at_work_first, "-pk")[:OF_EACH]:
            cancel_url = ""
            if job.can_be_cancelled:
                cancel_url = reverse(runner.cancel_url, args=[job.pk])
            listed.append(
                ListedJob(job, runner.noun, cancel_url, runner.asks_before_cancel)
            )
    return sorted(
        listed,
        key=lambda each: (each.job.is_at_work, each.job.created_at),
        reverse=True,
    )
