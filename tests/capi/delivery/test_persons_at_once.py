"""A rule that counts once per person, under concurrency and over random histories."""

import random
import threading
import uuid
from contextlib import suppress
from datetime import timedelta
from unittest.mock import Mock

import pytest
from django.db import connection as database
from django.db.models.functions import Now

from capi import services
from capi.delivery import http_session, lane, persons, selection
from capi.delivery.deliver import deliver
from capi.linkedin.sandbox.faults import Drop, Fault
from capi.models import Connection, ConversionEvent, CountedPerson
from capi.models.choices import Reason
from crm.models import Lead
from tests import size
from tests.capi.conftest import hashes, received, send_all, states, wait_is_over
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db
with_commits = pytest.mark.django_db(transaction=True)


@pytest.fixture
def rule(connected, make_rule):
    return make_rule("lead_created", frequency="per_person")


def cancel(company, event) -> None:
    services.cancel_events(company=company, pks=[event.pk])


def test_a_worker_that_has_lost_the_lane_counts_nobody(company, rule) -> None:
    make_lead(company)
    lease = lane.take_lease(company.pk)
    snapshot = lane.read_lane(lease)
    batch = selection.next_batch(company.pk, size=10, now=snapshot.now)
    Connection.objects.update(lease_id=uuid.uuid4())

    with pytest.raises(lane.LeaseLost):
        persons.spend_for_people(
            lease, snapshot, rule, batch.sendable, recalls=snapshot.connection.recalls
        )

    assert not CountedPerson.objects.exists()


def test_a_worker_that_dies_with_a_request_in_flight_leaves_the_place_taken(
    company, rule, monkeypatch
) -> None:
    make_lead(company)
    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(http_session, "send", Mock(side_effect=RuntimeError))
        send_all(company)
    first = ConversionEvent.objects.get()
    ConversionEvent.objects.update(next_attempt_at=Now() + timedelta(hours=1))
    make_lead(company)

    send_all(company)

    assert states(company) == ["pending", "pending"]
    assert CountedPerson.objects.get().event == first


@with_commits
def test_if_the_first_is_cancelled_while_linkedin_takes_it_the_second_is_skipped(
    company, rule, sandbox
) -> None:
    make_lead(company)
    sandbox.faults.add(Fault(delay_ms=1000))
    sender = threading.Thread(target=lambda: (deliver(company.pk), database.close()))
    sender.start()
    while Connection.objects.get().request_started_at is None:
        assert sender.is_alive()

    cancel(company, ConversionEvent.objects.get())
    make_lead(company)
    sender.join()
    send_all(company)

    assert states(company) == ["accepted", "skipped"]
    assert len(received(sandbox)) == 1


@with_commits
def test_of_many_workers_that_send_at_once_one_sends_each_person(
    company, rule, sandbox
) -> None:
    for number in range(20):
        make_lead(company, email=f"p{number % 4}@example.com")
    workers = [
        threading.Thread(target=lambda: (deliver(company.pk), database.close()))
        for _ in range(4)
    ]

    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    wait_is_over()
    send_all(company)

    assert sorted(states(company)) == ["accepted"] * 4 + ["skipped"] * 16
    assert len(set(hashes(sandbox))) == len(received(sandbox)) == 4


@with_commits
@pytest.mark.parametrize("history", range(size.sized(10, small=3)))
def test_over_random_histories_nobody_is_counted_twice_and_nobody_is_lost(
    company, rule, sandbox, history
) -> None:
    addresses = ["ada@example.com", "bob@example.com", ""]
    steps = {
        "add": lambda: make_lead(company, email=random.choice(addresses)),
        "address": lambda: Lead.objects.filter(pk=some(Lead.objects.all())).update(
            email=random.choice(addresses)
        ),
        "cancel": lambda: cancel(
            company, ConversionEvent.objects.get(pk=some(ConversionEvent.objects.all()))
        ),
        "refuse": lambda: sandbox.faults.add(
            Fault(status=random.choice([422, 429, 503]))
        ),
        "unknown": lambda: sandbox.faults.add(Fault(drop=Drop.AFTER_BODY)),
        "send": lambda: (
            wait_is_over(),
            Connection.objects.update(next_attempt_at=None),
            send_all(company),
        ),
        "clear": sandbox.faults.clear,
    }
    weights = [6, 4, 2, 2, 1, 8, 0]

    def some(rows):
        return random.choice(list(rows.values_list("pk", flat=True)) or [0])

    make_lead(company)
    # The addresses that leads had when their events were skipped.
    skipped_as: dict[int, str] = {}
    for step in [
        *random.choices(list(steps), weights, k=30),
        "clear",
        "send",
        "send",
        "send",
    ]:
        with suppress(Lead.DoesNotExist, ConversionEvent.DoesNotExist):
            steps[step]()
        assert_nobody_waits_for_ever(rule)
        skipped = ConversionEvent.objects.filter(state="skipped").values_list(
            "pk", "lead__email"
        )
        skipped_as = {pk: skipped_as.get(pk, email) for pk, email in skipped}

    sent = {
        (sha256, event["eventId"])
        for sha256, event in zip(hashes(sandbox), received(sandbox), strict=True)
    }
    assert len(sent) == len({sha256 for sha256, _ in sent})
    assert {
        address
        for address in skipped_as.values()
        if not persons.event_of_person(rule, address)
    } == set()
    assert not ConversionEvent.objects.pending().exists()


def assert_nobody_waits_for_ever(rule) -> None:
    """Assert that an event that waits for another of its person waits for one that isn't waiting itself."""
    waiting = ConversionEvent.objects.pending().filter(reason=Reason.ALREADY_COUNTED)
    for person in CountedPerson.objects.filter(event__in=waiting):
        assert persons.event_of_person(rule, person.event.lead.email) != person.event
