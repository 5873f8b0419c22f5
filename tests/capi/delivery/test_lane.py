"""One worker at a time sends for a company, and a worker that slept through its lease writes nothing."""

import threading
import uuid
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection as database
from django.utils import timezone

from capi import services
from capi.delivery import lane, settle, sweep
from capi.delivery.deliver import deliver
from capi.delivery.lane import LeaseLost
from capi.models import Attempt, Connection, ConversionEvent
from crm.models import Lead
from tests.capi.conftest import received, requests_made, send_all, states
from tests.conftest import TOKEN, make_lead

pytestmark = pytest.mark.django_db(transaction=True)


def in_threads(count: int, work) -> None:
    """Run `work` in so many threads at once, and raise what any of them raised."""
    errors: list[BaseException] = []
    start = threading.Barrier(count)

    def run() -> None:
        try:
            start.wait()
            work()
        except BaseException as error:
            errors.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_a_lane_that_is_leased_is_left_alone(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_lead(company)
    assert not lane.are_any_leased()
    lease = lane.take_lease(company.pk)
    assert lane.are_any_leased()

    turn = send_all(company)

    assert turn.requests == 0
    assert lane.take_lease(company.pk) is None
    assert sweep.due_companies() == []
    lane.release(lease)
    assert not lane.are_any_leased()
    send_all(company)
    assert states(company) == ["accepted"]
    free = Connection.objects.get()
    assert (free.lease_id, free.leased_until, free.next_attempt_at) == (
        None,
        None,
        None,
    )


def test_an_expired_lease_is_taken_over_and_its_old_owner_writes_nothing(
    company, connected, sandbox, make_rule, monkeypatch
) -> None:
    make_rule()
    make_lead(company)
    write = settle.write

    def sleep_through_the_lease(lease, outcome, **kwargs):
        monkeypatch.setattr(settle, "write", write)
        Connection.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
        deliver(company.pk)
        return write(lease, outcome, **kwargs)

    monkeypatch.setattr(settle, "write", sleep_through_the_lease)
    send_all(company)

    # The zombie's request went out before it slept.
    assert requests_made(sandbox) == [201, 201]
    assert Attempt.objects.count() == 1
    event = ConversionEvent.objects.get()
    assert (event.state, event.attempts) == ("accepted", 1)
    assert len({element["eventId"] for element in received(sandbox)}) == 1


def test_a_stolen_lease_can_not_be_renewed_or_released(company, connected) -> None:
    lease = lane.take_lease(company.pk)
    thief = uuid.uuid4()
    Connection.objects.update(lease_id=thief)

    with pytest.raises(LeaseLost):
        lane.renew(lease)
    lane.release(lease)

    assert Connection.objects.get().lease_id == thief


def test_eight_workers_send_each_event_once(
    company, connected, sandbox, make_rule, settings
) -> None:
    settings.BATCH_SIZE = 10
    make_rule()
    Lead.objects.bulk_create(
        Lead(company=company, first_name=f"Lead {n}", email=f"{n}@example.com")
        for n in range(80)
    )

    in_threads(8, lambda: deliver(company.pk))

    assert states(company) == ["accepted"] * 80
    assert len(received(sandbox)) == 80


def test_what_is_committed_while_the_lane_is_let_go_is_still_sent(
    company, connected, sandbox, make_rule, monkeypatch
) -> None:
    make_rule()
    make_lead(company)
    release = lane.release

    def commit_meanwhile(lease):
        monkeypatch.setattr(lane, "release", release)
        make_lead(company, first_name="Grace", email="grace@example.com")
        assert lane.take_lease(company.pk) is None  # its wake-up finds the lane leased
        release(lease)

    monkeypatch.setattr(lane, "release", commit_meanwhile)
    send_all(company)

    assert states(company) == ["accepted", "accepted"]


def test_a_turn_ends_after_its_time_and_says_that_there_is_more(
    company, connected, sandbox, make_rule, settings
) -> None:
    settings.BATCH_SIZE = 1
    make_rule()
    for n in range(3):
        make_lead(company, email=f"{n}@example.com")

    turn = deliver(company.pk, seconds=0)

    assert (turn.requests, turn.more_in) == (0, 0.0)
    assert Connection.objects.get().lease_id is None


def test_the_purse_limits_requests_and_a_test_event_goes_ahead_of_it(
    company, connected, sandbox, make_rule, settings
) -> None:
    settings.BATCH_SIZE, settings.REQUESTS_PER_MINUTE = 1, 3
    rule = make_rule()
    for n in range(6):
        make_lead(company, email=f"{n}@example.com")

    turn = send_all(company)
    assert turn.requests <= 3
    assert turn.more_in > 1
    assert states(company).count("pending") >= 3
    assert Connection.objects.get().next_attempt_at > timezone.now()

    test = services.send_test_event(rule=rule)
    send_all(company)

    test.refresh_from_db()
    assert test.state == "accepted"


def test_a_slow_purse_still_sends_one_request_after_another(
    company, connected, settings
) -> None:
    settings.REQUESTS_PER_MINUTE = 6
    now = timezone.now()
    used = Connection(requests_left=2, requests_counted_at=now - timedelta(seconds=4))
    snapshot = lane.LaneSnapshot(
        used,
        now,
        has_test=False,
        has_backfill=False,
        has_noted_recalls=False,
        is_held_back=False,
        read_at=0.0,
    )

    assert 5.9 < snapshot.wait_seconds < 6.1
    assert replace(snapshot, now=now + timedelta(seconds=7)).wait_seconds == 0


def test_the_sweep_finds_lanes_that_are_due_and_no_others(
    company, other_company, connected, sandbox, make_rule
) -> None:
    services.save_token(company=other_company, token=TOKEN)
    make_rule("lead_created", "104012")
    make_rule("lead_created", "104013", company=other_company, is_paused=True)
    make_lead(company)
    make_lead(other_company)

    assert sweep.due_companies() == [company.pk]

    Connection.objects.filter(company=company).update(
        next_attempt_at=timezone.now() + timedelta(seconds=30)
    )
    assert sweep.due_companies() == []


def test_held_events_of_one_rule_do_not_stand_in_the_way_of_another(
    company, connected, sandbox, make_rule, settings
) -> None:
    settings.BATCH_SIZE = 5
    make_rule("lead_created", "104012", is_paused=True)
    make_rule("lead_created", "104013")
    Lead.objects.bulk_create(
        Lead(company=company, first_name=f"Lead {n}", email=f"{n}@example.com")
        for n in range(12)
    )

    send_all(company)

    assert (
        ConversionEvent.objects.filter(
            rule__linkedin_id="104013", state="accepted"
        ).count()
        == 12
    )
    assert (
        ConversionEvent.objects.filter(
            rule__linkedin_id="104012", state="pending"
        ).count()
        == 12
    )
