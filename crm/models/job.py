"""A job: long work that someone requested, done in the background chunk by chunk. `crm.jobs` does it.

Each kind has a table of its own, with these columns: docs/decisions/one-job.md says why.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeVar

from django.conf import settings
from django.db import models, transaction
from django.db.models.functions import Now

from crm.models.api_key import ApiKey
from crm.models.company import Company
from crm.models.people import Membership, User
from crm.models.roles import Action
from crm.models.tenancy import CompanyQuerySet

if TYPE_CHECKING:
    from crm.models.contribution import Author

J = TypeVar("J", bound="Job", covariant=True)


class JobState(models.TextChoices):
    """The states of a job. A worker still has to work on it in those of `AT_WORK`."""

    WAITING = "waiting", "Waiting"
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"  # until someone resumes it
    DONE = "done", "Finished"
    CANCELLED = "cancelled", "Cancelled"
    FAILED = "failed", "Failed"


AT_WORK: Final = (JobState.WAITING, JobState.RUNNING)


class JobQuerySet(CompanyQuerySet[J]):
    def at_work(self) -> Self:
        """Jobs that a worker still has to work on."""
        return self.filter(state__in=AT_WORK)

    def end(self, state: JobState, problem: str = "") -> bool:
        """End the jobs that are at work, and delete what they no longer need. Returns False if there are none."""
        pks = list(self.at_work().values_list("pk", flat=True))
        with transaction.atomic():
            # Checked again: another process may have just ended one.
            ended = self.filter(pk__in=pks).at_work()
            if not ended.update(state=state, problem=problem, finished_at=Now()):
                return False
            self.model.clear(pks, state)
        return True

    def kept(self) -> Self:
        """Jobs that have not expired, whether or not housekeeping has deleted the expired ones yet."""
        return self.all()

    def by(self, author: "Author") -> Self:
        """Jobs that this member or API key requested."""
        own = self.for_company(author.company)
        if isinstance(author, Membership):
            return own.filter(made_by=author.user)
        return own.filter(api_key=author)

    def open_to(self, author: "Author") -> Self:
        """The jobs of this member or API key; all of the company's for one who manages it."""
        if author.may(Action.MANAGE_COMPANY):
            return self.for_company(author.company)
        return self.by(author)


class Job(models.Model):
    """Work that `made_by` or `api_key` requested, and how far it has got.

    `reached` is the number of rows done, out of `row_count`. `timeouts` counts the tries since the last chunk that were
    interrupted: a statement reached its time limit, or the connection was lost. `chunk` is how many rows a chunk has
    since one was interrupted; null for the usual number.
    """

    company = models.ForeignKey(
        Company, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
        db_index=False,
    )
    api_key = models.ForeignKey(
        ApiKey, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    state = models.CharField(
        max_length=10, choices=JobState.choices, default=JobState.WAITING
    )
    # Why it failed, in a sentence.
    problem = models.CharField(max_length=300, blank=True, default="", db_default="")
    row_count = models.PositiveIntegerField(default=0, db_default=0)
    reached = models.PositiveIntegerField(default=0, db_default=0)
    timeouts = models.PositiveSmallIntegerField(default=0, db_default=0)
    chunk = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)

    objects: ClassVar[JobQuerySet[Any]]

    class Meta:
        abstract = True

    @classmethod
    def clear(cls, pks: Sequence[int], state: str) -> None:
        """Delete what these jobs, which have just ended in this state, no longer need."""

    @property
    def title(self) -> str:
        """What it does, in a few words."""
        raise NotImplementedError

    @property
    def needs(self) -> Action | None:
        """The permission that its author needs until it has ended."""
        raise NotImplementedError

    @property
    def state_label(self) -> str:
        """Its state, in a few words."""
        return JobState(self.state).label

    @property
    def author(self) -> User | ApiKey | None:
        """The person or key that requested it; None once they are gone."""
        return self.made_by or self.api_key

    @property
    def is_at_work(self) -> bool:
        return self.state in AT_WORK

    @property
    def can_be_cancelled(self) -> bool:
        return self.is_at_work

    @property
    def rows_done(self) -> int:
        return self.reached

    @property
    def counts_rows(self) -> bool:
        """False if `rows_done` says nothing about the current work."""
        return True

    @property
    def is_waiting(self) -> bool:
        return self.state == JobState.WAITING

    def finish(self, state: JobState = JobState.DONE, problem: str = "") -> None:
        """Set its end, for the next save."""
        self.state, self.problem = state, problem
        self.finished_at = Now()
