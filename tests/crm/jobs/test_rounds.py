"""Whose turn it is: each company gets one chunk a round, whatever it has asked for."""

from collections import Counter
from typing import Any

import pytest

from crm.data_exchange.exporting import list_rows
from crm.jobs import rounds
from crm.jobs.runner import JobRunner
from crm.models import Company, Membership
from crm.models.job import Job
from crm.models.roles import Role
from crm.services import bulk_changes
from tests.conftest import join
from tests.crm.jobs.making import bulk_change, data_export

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """The company and the kind of each chunk that is done, in their order. Each chunk has one row."""
    monkeypatch.setattr(bulk_changes, "CHUNK", 1)
    monkeypatch.setattr(list_rows, "CHUNK", 1)
    done: list[tuple[int, str]] = []
    advance = JobRunner.advance

    def noted(runner: JobRunner[Any], pk: int) -> bool:
        company_id = runner.model.objects.get(pk=pk).company_id
        has_done = advance(runner, pk)
        if has_done:
            done.append((company_id, runner.noun))
        return has_done

    monkeypatch.setattr(JobRunner, "advance", noted)
    return done


@pytest.fixture
def stranger(other_company: Company) -> Membership:
    return join(other_company, Role.SALES, email="x@example.com")


def test_a_company_with_many_jobs_keeps_no_other_waiting(
    sales: Membership, stranger: Membership, turns: list[tuple[int, str]]
) -> None:
    for _ in range(2):
        bulk_change(sales)
        data_export(sales)
    data_export(stranger)

    rounds.work_through(lambda: True)

    theirs = [
        number
        for number, (company_id, _) in enumerate(turns)
        if company_id == stranger.company_id
    ]
    assert len(turns) == 15
    assert len(theirs) == 3
    # One of two chunks in each of the first three rounds.
    assert [number // 2 for number in theirs] == [0, 1, 2]


def test_each_kind_has_its_turns_in_one_company(
    sales: Membership, turns: list[tuple[int, str]]
) -> None:
    jobs: list[Job] = [bulk_change(sales), data_export(sales)]

    rounds.work_through(lambda: True)

    assert Counter(noun for _, noun in turns) == {"Bulk change": 3, "Export": 3}
    for job in jobs:
        job.refresh_from_db()
        assert job.state == "done"


def test_one_that_fails_each_time_keeps_no_other_waiting(
    sales: Membership, stranger: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*args: Any) -> None:
        raise ZeroDivisionError

    bad, good = data_export(sales), bulk_change(stranger)
    monkeypatch.setattr(list_rows, "next_rows", wrong)

    rounds.work_through(lambda: True)

    bad.refresh_from_db()
    good.refresh_from_db()
    assert (bad.state, good.state) == ("failed", "done")


def test_a_worker_that_stops_begins_no_other_chunk(
    sales: Membership, stranger: Membership, turns: list[tuple[int, str]]
) -> None:
    bulk_change(sales)
    data_export(stranger)

    rounds.work_through(lambda: not turns)

    assert len(turns) == 1
