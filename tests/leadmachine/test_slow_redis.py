"""A distant or slow Redis costs a request one round trip; once it has cost half a second within five, nothing."""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings as django_settings
from django.core.cache import caches
from django.db import OperationalError
from redis import Redis

from crm.services import rate_limits
from leadmachine import installation
from leadmachine.cache import PATIENCE_SECONDS, patience
from leadmachine.settings import CACHES
from tests.crm.api.calling import caller
from tests.faults.proxy import Proxy, Trouble

pytestmark = pytest.mark.django_db

SLOW = Trouble(latency=0.1)  # on the way there and on the way back


class CountingProxy(Proxy):
    """Counts the round trips in `asked`: how often someone waits for a response."""

    asked = 0

    def _next_piece(
        self, source: Any, data: bytes, passed: int | None
    ) -> tuple[bytes, bytes]:
        self.asked += passed is None
        return super()._next_piece(source, data, passed)


@pytest.fixture
def redis(settings: Any, request: pytest.FixtureRequest) -> Iterator[CountingProxy]:
    """A proxy between the cache and Redis."""
    address = urlsplit(django_settings.REDIS_URL)
    assert address.hostname
    assert address.port
    proxy = CountingProxy((address.hostname, address.port))
    location = f"redis://127.0.0.1:{proxy.port}/0"
    settings.CACHES = {
        "default": {
            **CACHES["default"],
            "LOCATION": location,
            "KEY_PREFIX": request.node.name,
        }
    }
    patience.forget()
    yield proxy
    for pool in caches["default"]._cache._pools.values():
        pool.disconnect()
    del caches["default"]
    proxy.down()
    patience.forget()


def test_a_save_over_the_api_costs_one_round_trip(
    redis: CountingProxy, company: Any
) -> None:
    client = caller(company)
    assert client.get("/api/v1/leads/").status_code == 200
    before = redis.asked

    answer = client.post(
        "/api/v1/leads/", {"first_name": "Ada", "email": "ada@example.com"}
    )

    assert answer.status_code == 201
    assert redis.asked - before == 1


def test_the_first_use_of_a_new_connection_costs_one_round_trip(
    redis: CountingProxy,
) -> None:
    assert rate_limits.is_within("first", at_most=1)

    assert redis.asked == 1


def test_uses_are_counted_and_forgotten_in_their_time(redis: CountingProxy) -> None:
    counts = [caches["default"].count(["uses"], 60)[0] for _ in range(3)]

    with Redis.from_url(django_settings.REDIS_URL) as client:
        [key] = client.keys("*test_uses_are_counted_and_forgotten*")
        left = client.ttl(key)
    assert counts == [1, 2, 3]
    assert 0 < left <= 60


def test_a_slow_redis_is_left_alone_once_it_took_half_a_second(
    redis: CountingProxy,
) -> None:
    redis.trouble = SLOW

    for _ in range(20):
        rate_limits.is_within("slow", at_most=100)

    assert 1 <= redis.asked <= 4


def test_a_slow_redis_is_asked_again_after_five_seconds(
    redis: CountingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis.trouble = SLOW
    for _ in range(10):
        rate_limits.is_within("slow", at_most=100)
    redis.up()
    asked, later = redis.asked, time.monotonic() + 5.1

    monkeypatch.setattr("leadmachine.cache.time.monotonic", lambda: later)
    rate_limits.is_within("slow", at_most=100)

    assert redis.asked == asked + 1


@pytest.mark.usefixtures("one_minute")
def test_a_quick_redis_is_asked_however_often(redis: CountingProxy) -> None:
    for _ in range(100):
        assert rate_limits.is_within("quick", at_most=100)

    assert not rate_limits.is_within("quick", at_most=100)
    assert redis.asked == 101


def test_a_database_that_takes_its_time_to_say_which_installation_it_is_is_not_redis_being_slow(
    redis: CountingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = installation.identity
    monkeypatch.setattr(
        installation, "identity", lambda: (time.sleep(PATIENCE_SECONDS), ask())[1]
    )
    installation.name.cache_clear()

    for _ in range(2):
        rate_limits.is_within("first", at_most=100)

    assert redis.asked == 2


def test_a_database_that_takes_its_time_to_be_out_of_reach_is_not_redis_being_slow(
    redis: CountingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> str:
        time.sleep(PATIENCE_SECONDS)
        raise OperationalError("out of reach")

    with monkeypatch.context() as away:
        away.setattr(installation, "identity", fail)
        installation.name.cache_clear()
        assert rate_limits.is_within("first", at_most=100)

    assert rate_limits.is_within("first", at_most=100)
    assert redis.asked == 1


@pytest.mark.usefixtures("one_minute")
def test_uses_are_limited_while_redis_is_left_alone(redis: CountingProxy) -> None:
    redis.down()

    assert [rate_limits.is_within("alone", at_most=2) for _ in range(3)] == [
        True,
        True,
        False,
    ]
