"""An event is skipped for one that ends before the skipped one is committed, so that neither sees the other."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from unittest.mock import Mock

import pytest
from django.db import connection as database
from django.db import transaction
from django.db.models.functions import Now

from capi.delivery import places, planning, sweep
from capi.linkedin.sandbox.faults import Fault
from capi.models import ConversionEvent
from tests.capi.conftest import send_all, states
from tests.capi.delivery.test_places import cancel, expire, pick, send_all_in_the_end
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 10


@pytest.fixture
def lead(company, connected, make_rule):
    make_rule("lead_qualified", frequency="once")
    lead = make_lead(company)
    pick(lead, "qualified")
    return lead


@contextmanager
def qualified_again_without_a_commit(lead) -> Iterator[None]:
    """The lead is qualified again in a transaction that is committed at the end of the block."""
    planned, may_commit = threading.Event(), threading.Event()

    def qualify() -> None:
        with transaction.atomic():
            pick(lead, "new")
            pick(lead, "qualified")
            planned.set()
            may_commit.wait(SECONDS)
        database.close()

    thread = threading.Thread(target=qualify)
    thread.start()
    assert planned.wait(SECONDS)
    yield
    may_commit.set()
    thread.join(SECONDS)


@pytest.fixture
def reject(company, sandbox) -> Callable[[object], None]:
    def reject(lead: object) -> None:
        sandbox.faults.add(Fault(status=422, body='{"message":"odd","status":422}'))
        send_all(company)

    return reject


def needs_recheck() -> bool:
    return ConversionEvent.objects.filter(needs_recheck=True).exists()


def expire_unseen(lead) -> None:
    """As `expire`, for the events that are committed."""
    expire(lead)
    assert states(lead.company) == ["expired"]


def test_it_is_sent_if_the_first_one_expires(company, lead, sandbox) -> None:
    with qualified_again_without_a_commit(lead):
        expire_unseen(lead)
    send_all_in_the_end(company)

    assert states(company) == ["expired", "accepted"]
    assert not needs_recheck()


def test_it_is_sent_if_the_first_one_is_rejected(company, lead, sandbox, reject) -> None:
    with qualified_again_without_a_commit(lead):
        reject(lead)
    send_all_in_the_end(company)

    assert states(company) == ["rejected", "accepted"]


def test_it_stays_skipped_if_a_person_cancels_the_first_one(company, lead, sandbox) -> None:
    with qualified_again_without_a_commit(lead):
        cancel(lead)
    send_all_in_the_end(company)

    assert states(company) == ["cancelled", "skipped"]
    assert not needs_recheck()


def test_it_stays_skipped_if_the_first_one_is_sent(company, lead, sandbox) -> None:
    with qualified_again_without_a_commit(lead):
        send_all(company)
    send_all_in_the_end(company)

    assert states(company) == ["accepted", "skipped"]
    assert not needs_recheck()


@pytest.mark.parametrize("way", ["killed", "failed"])
def test_the_sweep_rechecks_what_a_process_left_when_it_died_after_its_commit(
    company, lead, sandbox, monkeypatch, way
) -> None:
    with monkeypatch.context() as patched:
        if way == "killed":
            patched.setattr(planning, "recheck", lambda pks: None)
        else:
            patched.setattr(places, "lock_holders", Mock(side_effect=RuntimeError))
        with qualified_again_without_a_commit(lead):
            expire_unseen(lead)
    assert states(company) == ["expired", "skipped"]
    assert needs_recheck()

    sweep.tidy()
    send_all_in_the_end(company)

    assert states(company) == ["expired", "accepted"]
    assert not needs_recheck()


def test_the_recheck_waits_for_a_transaction_that_is_ending_the_first_one(company, lead, sandbox, monkeypatch) -> None:
    searched, may_commit = threading.Event(), threading.Event()
    pass_on, lock_holders = places.pass_on, places.lock_holders

    def pass_on_and_linger(pks) -> None:
        pass_on(pks)
        if not searched.is_set():
            searched.set()
            may_commit.wait(SECONDS)

    def let_it_commit_soon(skipped) -> None:
        threading.Timer(0.3, may_commit.set).start()
        lock_holders(skipped)

    def end() -> None:
        expire(lead)
        database.close()

    monkeypatch.setattr(places, "pass_on", pass_on_and_linger)
    monkeypatch.setattr(places, "lock_holders", let_it_commit_soon)
    ending = threading.Thread(target=end)
    with qualified_again_without_a_commit(lead):
        ConversionEvent.objects.update(happened_at=Now() - timedelta(days=91))
        ending.start()
        assert searched.wait(SECONDS)
    ending.join(SECONDS)
    send_all_in_the_end(company)

    assert states(company) == ["expired", "accepted"]
