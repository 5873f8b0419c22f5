"""One chunk of a job: locked, allowed, done and committed, or else tried again or ended with a reason."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Final, Generic, TypeVar

from django.db import (
    IntegrityError,
    InterfaceError,
    InternalError,
    OperationalError,
    transaction,
)
from django.db.models import F, QuerySet

from crm.models.contribution import active_author
from crm.models.job import Job, JobQuerySet, JobState
from postgresql.availability import Unavailable, why_unavailable
from postgresql.bounds import LONG_SECONDS, statements_may_take

logger = logging.getLogger(__name__)

J = TypeVar("J", bound=Job)
TRIES: Final = 5  # interrupted in a row; then the job fails
SMALLER: Final = 4  # each try after an interruption has a quarter of the rows
LARGER: Final = 10  # each chunk in time adds a tenth of the usual rows again
TOO_SLOW: Final = (
    "The database took too long or was interrupted, five times in a row. Try again later, or ask the operator of "
    "LeadMachine to look at it."
)
FAILED: Final = "Something went wrong on our side. Try again, or ask the operator of LeadMachine to check the log."
NO_LONGER_ALLOWED: Final = "The person who asked for it may no longer do this."
KEY_NO_LONGER_ALLOWED: Final = (
    "The API key that asked for it no longer works, or may no longer do this."
)


class JobRefused(Exception):
    """The job can't go on, for a reason that its author can read. What this chunk has written is rolled back."""


class JobRunner(ABC, Generic[J]):
    """Works on the jobs of one kind.

    `noun` names the kind; `cancel_url` is the name of the URL that cancels a job, if by GET only after a question;
    `related` are the rows that the page of all jobs reads with each.
    """

    model: ClassVar[type[Any]]
    noun: ClassVar[str]
    cancel_url: ClassVar[str]
    asks_before_cancel: ClassVar[bool] = False
    related: ClassVar[tuple[str, ...]] = ("made_by", "api_key")
    failed: ClassVar[str] = FAILED
    seconds: ClassVar[float] = LONG_SECONDS  # that each statement of a chunk may take
    # Errors that are raised, and say nothing about the job.
    passing: ClassVar[tuple[type[Exception], ...]] = ()

    @abstractmethod
    def work(self, job: J) -> None:
        """Do the next chunk of a job, and finish the job after the last. The caller saves it, in one transaction.

        Raises JobRefused.
        """

    @abstractmethod
    def usual_chunk(self, job: J) -> int:
        """How many rows a chunk has, unless one was interrupted."""

    def size(self, job: J) -> int:
        """How many rows the next chunk has."""
        usual = self.usual_chunk(job)
        return usual if job.chunk is None else min(job.chunk, usual)

    def waiting(self) -> QuerySet[Any]:
        """The jobs that have a next chunk."""
        waiting: QuerySet[Any] = self.model.objects.at_work()
        return waiting

    def lock(self, pk: int) -> J | None:
        """The locked job, with its company. None if it has ended, or another process is working on it."""
        own = self.jobs(pk).at_work().select_related("company")
        locked: J | None = own.select_for_update(
            no_key=True, skip_locked=True, of=("self",)
        ).first()
        return locked

    def jobs(self, pk: int) -> JobQuerySet[J]:
        """The job with this key."""
        jobs: JobQuerySet[J] = self.model.objects.filter(pk=pk)
        return jobs

    def advance(self, pk: int) -> bool:
        """Do the next chunk of a job. Returns False if there is none, or if it has to wait for the next round.

        An interruption is counted, and too many in a row end the job. Any other error ends it, because every retry
        would fail too. Errors of an unavailable database are raised.
        """
        try:
            return self.next_chunk(pk)
        except self.passing:
            raise
        except JobRefused as reason:
            return self.jobs(pk).end(JobState.FAILED, str(reason))
        except (
            OperationalError,
            InterfaceError,
            InternalError,
            IntegrityError,
        ) as error:
            return self._interrupted(pk, error)
        except Exception:
            logger.exception("%s %s has failed.", self.noun, pk, extra={"job_id": pk})
            self.jobs(pk).end(JobState.FAILED, self.failed)
            return False

    def next_chunk(self, pk: int) -> bool:
        """Do the next chunk. Returns False if there is none. Raises JobRefused."""
        return self.transact(pk, self.work)

    @transaction.atomic
    def transact(self, pk: int, work: Callable[[J], None]) -> bool:
        """Lock the job, do this work on it and save it. Returns False if there is nothing to do."""
        job = self.lock(pk)
        if job is None:
            return False
        self._check_permission(job)
        if job.is_waiting:
            job.state = JobState.RUNNING
        with statements_may_take(self.seconds):
            work(job)
            job.timeouts = 0
            if job.chunk is not None:
                job.chunk += max(self.usual_chunk(job) // LARGER, 1)
            job.save()
        if not job.is_at_work:
            self.model.clear([pk], job.state)
        return True

    def _check_permission(self, job: J) -> None:
        """Raise JobRefused if its author may no longer do this.

        By now, the person may have been deactivated or have another role, the key may have been revoked, or the company
        deactivated.
        """
        if job.needs is None:
            return
        author = active_author(
            company_id=job.company_id, user_id=job.made_by_id, api_key_id=job.api_key_id
        )
        if author is None or not author.may(job.needs):
            raise JobRefused(
                KEY_NO_LONGER_ALLOWED if job.api_key_id else NO_LONGER_ALLOWED
            )

    def _interrupted(self, pk: int, error: Exception) -> bool:
        """Count one more try that was interrupted. Returns True if the next one may follow at once.

        That is so after a conflict with another transaction; after a time limit, other jobs get their turn first.
        Raises the error if the database is away, full or read-only.
        """
        why = why_unavailable(error)
        if why not in (None, Unavailable.TOO_SLOW, Unavailable.UNREACHABLE):
            raise error
        own = self.jobs(pk).at_work()
        own.update(timeouts=F("timeouts") + 1)
        if why:
            self._make_smaller(own)
        # Not if another process has continued it meanwhile: its count has started again.
        if own.filter(timeouts__gte=TRIES).end(
            JobState.FAILED, TOO_SLOW if why else self.failed
        ):
            logger.error(
                "%s %s has failed.",
                self.noun,
                pk,
                exc_info=error,
                extra={"job_id": pk},
            )
            return False
        if why is Unavailable.UNREACHABLE:
            raise error
        logger.warning(
            "%s %s was interrupted, and is tried again: %s",
            self.noun,
            pk,
            error,
            extra={"job_id": pk},
        )
        return why is None

    def _make_smaller(self, own: JobQuerySet[J]) -> None:
        for job in own:
            own.update(chunk=max(self.size(job) // SMALLER, 1))
