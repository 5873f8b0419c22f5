"""What holds for each kind of job: interruptions are counted alike, and a permission that is lost ends it."""

from typing import Any

import pytest
from django.db import IntegrityError, InterfaceError, OperationalError
from psycopg.errors import DeadlockDetected, DiskFull

from crm.jobs import runner
from crm.models import AuditEntry, Membership
from crm.models.job import Job
from crm.models.roles import Role
from tests.crm.jobs.making import KINDS, MAKERS, advance
from tests.crm.statement_timeouts import take_too_long

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.parametrize("noun", KINDS),
]


@pytest.fixture
def job(admin: Membership, connected: Any, noun: str) -> Job:
    """A job of an admin, who may do everything."""
    return MAKERS[noun](admin)


def fails_with(error: BaseException, cause: BaseException | None = None) -> Any:
    def work(*args: Any) -> None:
        raise error from cause

    return work


def now(job: Job) -> Job:
    job.refresh_from_db()
    return job


def test_statements_that_take_too_long_end_it_after_five_tries(
    job: Job, noun: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    monkeypatch.setattr(type(KINDS[noun]), "work", take_too_long)
    for _ in range(runner.TRIES - 1):
        assert not advance(KINDS[noun], job)
        sizes.append(KINDS[noun].size(now(job)))
    assert (job.is_at_work, job.timeouts) == (True, runner.TRIES - 1)

    assert not advance(KINDS[noun], job)

    assert (now(job).state, job.problem, job.reached) == ("failed", runner.TOO_SLOW, 0)
    assert job.finished_at is not None
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == max(KINDS[noun].usual_chunk(job) // runner.SMALLER, 1)
    assert not advance(KINDS[noun], job)


def test_a_chunk_in_time_begins_the_count_again(
    job: Job, noun: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as slow:
        slow.setattr(type(KINDS[noun]), "work", take_too_long)
        for _ in range(runner.TRIES - 1):
            advance(KINDS[noun], job)
        type(job).objects.update(chunk=1)

    assert advance(KINDS[noun], job)

    assert (now(job).timeouts, job.rows_done, job.problem) == (0, 1, "")
    assert KINDS[noun].size(job) > 1


def test_a_lost_connection_counts_too_and_a_full_disk_does_not(
    job: Job, noun: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        type(KINDS[noun]),
        "work",
        fails_with(InterfaceError("the connection is closed")),
    )
    with pytest.raises(InterfaceError):
        advance(KINDS[noun], job)
    assert now(job).timeouts == 1

    monkeypatch.setattr(
        type(KINDS[noun]), "work", fails_with(OperationalError("full"), DiskFull())
    )
    with pytest.raises(OperationalError):
        advance(KINDS[noun], job)
    assert (now(job).timeouts, job.is_at_work) == (1, True)


@pytest.mark.parametrize(
    "error", [IntegrityError("taken"), OperationalError("deadlock detected")]
)
def test_a_conflict_with_another_transaction_is_tried_again_at_once(
    job: Job, noun: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as conflicting:
        conflicting.setattr(
            type(KINDS[noun]), "work", fails_with(error, DeadlockDetected())
        )
        assert advance(KINDS[noun], job)
    assert (now(job).timeouts, job.chunk) == (1, None)

    while advance(KINDS[noun], job):
        pass

    assert (now(job).state, job.rows_done) == ("done", 3)


def test_an_error_of_ours_ends_it_at_once(
    job: Job, noun: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(KINDS[noun]), "work", fails_with(ZeroDivisionError()))

    assert not advance(KINDS[noun], job)

    assert (now(job).state, job.problem) == ("failed", KINDS[noun].failed)


def test_a_permission_that_is_lost_midway_ends_it(
    job: Job, noun: str, admin: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    type(job).objects.update(chunk=1)
    assert advance(KINDS[noun], job)
    Membership.objects.filter(pk=admin.pk).update(is_active=False)

    advance(KINDS[noun], job)

    assert (now(job).state, job.problem, job.rows_done) == (
        "failed",
        runner.NO_LONGER_ALLOWED,
        1,
    )


def test_it_is_cancelled_between_two_chunks(
    job: Job, noun: str, admin: Membership, client_as: Any
) -> None:
    type(job).objects.update(chunk=1)
    assert advance(KINDS[noun], job)
    listed = client_as(admin).get("/jobs/").context["jobs"]

    client_as(admin).post(listed[0].cancel_url)

    assert not advance(KINDS[noun], job)
    assert (now(job).state, job.can_be_cancelled) == ("cancelled", False)


def test_a_role_that_may_not_do_it_ends_it(
    job: Job, noun: str, admin: Membership
) -> None:
    Membership.objects.filter(pk=admin.pk).update(
        role=Role.SALES if noun == "Backfill" else Role.OPS
    )

    advance(KINDS[noun], job)

    assert (now(job).state, job.reached) == ("failed", 0)
    assert not AuditEntry.objects.filter(action="bulk_change_cancelled").exists()
