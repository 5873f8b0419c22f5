"""The transport keeps nothing in Redis, lets a worker take no more than it may, and fails only as a lost connection."""

from collections.abc import Callable, Iterator
from queue import Empty
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from kombu import Connection, Consumer, Producer, Queue
from kombu.transport import redis as kombu_redis
from redis import Redis
from redis.exceptions import ReadOnlyError, ResponseError

from leadmachine.celery_transport import Transport
from tests.faults.proxy import Proxy

QUEUE = Queue("tests-of-the-broker")


# Where Redis keeps what no worker has taken.
WAITING = f"leadmachine:of-these-tests:{QUEUE.name}"


@pytest.fixture(autouse=True)
def _named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leadmachine.installation.name", lambda: "of-these-tests")


@pytest.fixture
def redis() -> Iterator[Redis]:
    with Redis.from_url(settings.REDIS_URL) as client:
        client.delete(WAITING)
        yield client
        client.delete(WAITING)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    address = urlsplit(settings.REDIS_URL)
    assert address.hostname
    assert address.port
    proxy = Proxy((address.hostname, address.port))
    yield proxy
    proxy.down()


@pytest.fixture
def line(proxy: Proxy) -> Iterator[Connection]:
    url = f"redis://127.0.0.1:{proxy.port}/0"
    with Connection(
        url, transport="leadmachine.celery_transport:Transport"
    ) as connection:
        yield connection


@pytest.fixture
def taken(line: Connection) -> Iterator[list[Any]]:
    """What a consumer that may hold two messages at once has taken so far."""
    messages: list[Any] = []
    channel = line.channel()
    channel.basic_qos(0, 2, False)
    with Consumer(channel, [QUEUE], on_message=messages.append):
        yield messages


def send(redis: Redis, count: int) -> None:
    with Connection(
        settings.REDIS_URL, transport="leadmachine.celery_transport:Transport"
    ) as line:
        for number in range(count):
            Producer(line).publish(number, routing_key=QUEUE.name)


def take(line: Connection, *, until: Callable[[], bool] = lambda: True) -> None:
    """Take messages until that is true, and then what else there is."""
    while not until():
        line.drain_events(timeout=10)
    with pytest.raises(TimeoutError):
        while True:
            line.drain_events(timeout=0.2)


def test_a_consumer_takes_as_many_as_it_may_hold_and_one_more_for_each_that_it_is_done_with(
    redis: Redis, line: Connection, taken: list[Any]
) -> None:
    send(redis, 5)

    take(line, until=lambda: len(taken) == 2)
    held = [message.payload for message in taken]
    taken[0].ack()
    taken[1].reject()
    take(line, until=lambda: len(taken) == 4)

    assert held == [0, 1]
    assert [message.payload for message in taken] == [0, 1, 2, 3]


def test_what_is_taken_leaves_nothing_in_redis(
    redis: Redis, line: Connection, taken: list[Any]
) -> None:
    send(redis, 2)

    take(line, until=lambda: len(taken) == 2)

    assert len(taken) == 2
    assert redis.keys("*unacked*") == []


@pytest.mark.parametrize("ending", ["close", "collect"])
@pytest.mark.parametrize("fate", ["well", "down", "silent"])
@pytest.mark.timeout(20)
def test_a_line_that_holds_messages_ends_at_once_and_puts_none_back(
    ending: str,
    fate: str,
    redis: Redis,
    proxy: Proxy,
    line: Connection,
    taken: list[Any],
) -> None:
    send(redis, 3)
    take(line, until=lambda: len(taken) == 2)
    {"well": lambda: None, "down": proxy.down, "silent": proxy.silence}[fate]()

    getattr(line, ending)()

    assert redis.llen(WAITING) <= 1  # kombu may have asked for the third already


def test_a_message_that_nobody_here_listens_for_is_dropped(
    line: Connection, taken: list[Any], redis: Redis
) -> None:
    send(redis, 1)
    line.transport._callbacks.clear()

    take(line, until=lambda: redis.llen(WAITING) == 0)

    assert taken == []


REFUSALS = [
    ReadOnlyError("You can't write against a read only replica."),
    ResponseError(
        "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)"
    ),
    ResponseError("NOAUTH Authentication required."),
    ResponseError("OOM command not allowed when used memory > 'maxmemory'."),
]
FAILURES = [
    AttributeError("'NoneType' object has no attribute 'hostname'"),
    ValueError("-1"),
    RuntimeError("changed"),
]


@pytest.mark.parametrize("error", [*REFUSALS, *FAILURES], ids=str)
@pytest.mark.parametrize("door", ["_brpop_read", "_brpop_start"])
def test_whatever_goes_wrong_with_redis_is_a_lost_connection(
    error: Exception,
    door: str,
    redis: Redis,
    line: Connection,
    taken: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send(redis, 1)

    def fail(*args: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(kombu_redis.Channel, door, fail)

    with pytest.raises(line.connection_errors):
        take(line, until=lambda: False)


def test_that_there_is_nothing_to_read_is_no_failure(
    line: Connection, taken: list[Any]
) -> None:
    assert not issubclass(Empty, Transport.connection_errors)

    take(line)

    assert taken == []
