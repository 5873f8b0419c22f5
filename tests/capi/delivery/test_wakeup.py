"""A wake-up is for speed only: whatever the broker does, a save is neither refused nor held up."""

import json
import logging
import socket
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from django.db import transaction

from capi.delivery import wakeup
from capi.delivery.wakeup import publisher
from capi.models import ConversionEvent
from crm.models import Company, Lead
from crm.models.tracking.origin import acting_as
from leadmachine import installation
from tests.conftest import make_lead
from tests.faults.proxy import Proxy

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _fresh_line(settings: Any) -> Iterator[None]:
    def forget() -> None:
        # An earlier test's wake-ups go to that test's broker.
        assert publisher.flush(10)
        wakeup._broker_connection.cache_clear()
        wakeup.breaker.closed_at = wakeup.breaker.warn_again_at = 0.0

    forget()
    yield
    forget()


@pytest.fixture
def queue(settings: Any) -> Iterator[Any]:
    """Yields a function that returns how many messages are in the broker's queue."""
    broker = redis.Redis.from_url(settings.REDIS_URL)
    waiting = f"leadmachine:{installation.name()}:leadmachine"
    broker.delete(waiting)

    def length() -> int:
        assert publisher.flush(10)
        return broker.llen(waiting)  # type: ignore[return-value]

    yield length
    broker.delete(waiting)
    broker.close()


def dead_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]  # type: ignore[no-any-return]


def point_broker_at(settings: Any, port: int) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{port}/0"
    # wake-ups requested until now went to the former broker.
    wakeup._broker_connection.cache_clear()


def test_a_commit_sends_one_message_however_many_events_it_made(
    company, make_rule, queue
) -> None:
    make_rule()

    with transaction.atomic():
        for n in range(5):
            make_lead(company, email=f"{n}@example.com")
        assert queue() == 0

    assert queue() == 1
    assert ConversionEvent.objects.count() == 5


def test_without_a_mapped_rule_there_is_no_message(company, queue) -> None:
    make_lead(company)

    assert queue() == 0


def test_a_change_with_a_grace_period_wakes_a_worker_at_its_end(
    company, make_rule, queue, settings
) -> None:
    make_rule()
    Company.objects.update(grace_seconds=30)

    with acting_as(None, action=uuid.uuid4()):
        make_lead(company)

    assert queue() == 1
    with redis.Redis.from_url(settings.REDIS_URL) as broker:
        message = json.loads(
            broker.lindex(f"leadmachine:{installation.name()}:leadmachine", 0)
        )
    due_at = datetime.fromisoformat(message["headers"]["eta"])
    assert timedelta(seconds=28) < due_at - datetime.now(UTC) <= timedelta(seconds=30)


def test_a_rollback_sends_no_message(company, make_rule, queue) -> None:
    make_rule()

    with pytest.raises(RuntimeError), transaction.atomic():
        make_lead(company)
        raise RuntimeError

    assert queue() == 0


def test_an_inner_rollback_does_not_swallow_the_outer_wake_up(
    company, make_rule, queue
) -> None:
    make_rule()

    with transaction.atomic():
        with pytest.raises(RuntimeError), transaction.atomic():
            make_lead(company)
            raise RuntimeError
        make_lead(company)

    assert queue() == 1


def test_messages_hold_an_id_and_nothing_about_a_person(
    company, make_rule, queue, settings
) -> None:
    make_rule()

    make_lead(company, email="canary@example.com", first_name="Canary")
    assert queue() == 1

    with redis.Redis.from_url(settings.REDIS_URL) as broker:
        [message] = broker.lrange(
            f"leadmachine:{installation.name()}:leadmachine", 0, -1
        )
    assert b"canary" not in message.lower()
    assert wakeup.wake(company.pk)


def test_a_dead_broker_costs_a_save_nothing_and_is_warned_of_once(
    company, make_rule, settings, caplog
) -> None:
    make_rule()
    point_broker_at(settings, dead_port())

    with caplog.at_level(logging.WARNING, logger="capi.delivery.wakeup"):
        for n in range(20):
            make_lead(company, email=f"{n}@example.com")
            assert publisher.flush(10)

    assert ConversionEvent.objects.filter(state="pending").count() == 20
    assert (
        len(
            [
                record
                for record in caplog.records
                if record.name == "capi.delivery.wakeup"
            ]
        )
        == 1
    )


def test_a_broker_that_accepts_and_never_answers_does_not_hold_a_save(
    company, make_rule, settings, monkeypatch
) -> None:
    make_rule()
    settings.WAKE_TIMEOUT_SECONDS = 3
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(16)
        point_broker_at(settings, silent.getsockname()[1])

        make_lead(company)

        # The wake-up still waits for the broker; the save did not.
        assert not publisher.flush(0.2)
        assert Lead.objects.count() == 1
        assert publisher.flush(30)
    assert wakeup.breaker.is_open


@pytest.mark.parametrize("end", [Proxy.reset, Proxy.silence])
def test_a_wake_up_that_meets_a_dead_line_goes_once_more_on_a_new_one(
    end, company, queue, settings
) -> None:
    address = urlsplit(settings.REDIS_URL)
    proxy = Proxy((address.hostname, address.port))
    point_broker_at(settings, proxy.port)
    assert wakeup.wake(company.pk)

    end(proxy)

    assert wakeup.wake(company.pk)
    assert not wakeup.breaker.is_open
    assert queue() == 2
    proxy.down()


def test_saves_that_follow_each_other_send_a_message_at_once_and_one_for_all_the_rest(
    company, make_rule, queue, monkeypatch
) -> None:
    make_rule()
    assert queue() == 0
    monkeypatch.setattr("capi.delivery.wakeup.FOLDED_SECONDS", 60)

    for n in range(60):
        make_lead(company, email=f"{n}@example.com")

    assert 1 <= queue() <= 2


def test_the_breaker_closes_again_when_the_broker_is_back(
    company, make_rule, queue, settings
) -> None:
    make_rule()
    good = settings.REDIS_URL
    point_broker_at(settings, dead_port())
    make_lead(company)
    assert publisher.flush(10)
    assert wakeup.breaker.is_open

    point_broker_at(settings, int(good.rpartition(":")[2].split("/")[0]))
    wakeup.breaker.closed_at = 0.0
    make_lead(company, email="grace@example.com")

    assert not wakeup.breaker.is_open
    assert queue() == 1
