"""A result from LinkedIn is written once, even if the database fails during the write."""

import pytest
from django.db import InternalError, OperationalError

from capi.delivery import settle
from capi.delivery.lane import LeaseLost
from capi.models import Attempt, ConversionEvent
from tests.capi.conftest import requests_made, send_all
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch) -> None:
    monkeypatch.setattr(settle, "PAUSE_SECONDS", 0.01)


def test_a_write_that_the_database_refuses_at_first_is_tried_again(
    company, connected, sandbox, make_rule, monkeypatch
) -> None:
    make_rule()
    make_lead(company)
    # A standby, not promoted yet.
    read_only = InternalError("cannot execute UPDATE in a read-only transaction")
    write, failures = settle.write, iter([OperationalError("gone"), read_only])

    def fail_twice(*args, **kwargs):
        if failure := next(failures, None):
            raise failure
        return write(*args, **kwargs)

    monkeypatch.setattr(settle, "write", fail_twice)
    send_all(company)

    event = ConversionEvent.objects.get()
    assert (event.state, event.attempts, requests_made(sandbox)) == (
        "accepted",
        1,
        [201],
    )
    assert list(failures) == []


def test_a_write_whose_commit_went_through_unseen_is_not_made_twice(
    company, connected, sandbox, make_rule, monkeypatch
) -> None:
    make_rule()
    make_lead(company)
    write, calls = settle.write, []

    def fail_after_the_commit(lease, outcome, *, again=False):
        attempt = write(lease, outcome, again=again)
        calls.append(again)
        if not again:
            raise OperationalError("the connection is lost")
        return attempt

    monkeypatch.setattr(settle, "write", fail_after_the_commit)
    send_all(company)

    event = ConversionEvent.objects.get()
    assert (event.state, event.attempts, requests_made(sandbox)) == (
        "accepted",
        1,
        [201],
    )
    assert (calls, Attempt.objects.count()) == ([False, True], 1)


def test_after_the_time_of_a_lease_it_gives_up(company, connected, settings) -> None:
    settings.LEASE_SECONDS = 0.05

    def never(again):
        raise OperationalError("gone")

    with pytest.raises(OperationalError):
        settle.until_written(never)


def test_a_lost_lease_is_not_tried_again() -> None:
    calls = []

    def lost(again):
        calls.append(again)
        raise LeaseLost

    with pytest.raises(LeaseLost):
        settle.until_written(lost)

    assert calls == [False]
