"""What all web processes share is in Redis, as JSON; while Redis is unreachable, each process keeps its own."""

import pytest
from django.conf import settings as django_settings
from django.core.cache import caches
from django.test import Client
from redis import Redis

from leadmachine.cache import patience
from tests.crm.accounts.conftest import is_in, sign_in

pytestmark = pytest.mark.django_db

SHARED = django_settings.CACHES["default"]


@pytest.fixture(autouse=True)
def _awake():
    patience.forget()


@pytest.fixture
def shared(settings, request):
    settings.CACHES = {"default": {**SHARED, "KEY_PREFIX": request.node.name}}
    yield
    leave_process()


def leave_process():
    """Give the next caller a new cache, as in another process, with its own connection to Redis."""
    for pool in caches["default"]._cache._pools.values():
        pool.disconnect()
    del caches["default"]


@pytest.fixture
def away(settings):
    """A Redis that can't be reached."""
    settings.CACHES = {"default": {**SHARED, "LOCATION": "redis://127.0.0.1:9/0"}}


@pytest.mark.parametrize("value", [7, 0.5, "text", [1.25, 2.5], True, None, {"a": [1]}])
def test_what_goes_in_comes_out(shared, value):
    caches["default"].set("key", value, 60)

    assert caches["default"].get("key", "nothing") == value


def test_it_is_kept_as_json(shared, settings):
    caches["default"].set("key", [1.25], 60)

    with Redis.from_url(settings.REDIS_URL) as redis:
        assert [redis.get(key) for key in redis.keys("*test_it_is_kept_as_json*")] == [
            b"[1.25]"
        ]


def test_failures_are_counted_by_all_processes_together(shared, sales):
    for _ in range(5):
        sign_in(Client(), password="wrong")
        leave_process()

    assert "Too many failed attempts." in sign_in(Client()).content.decode()


def test_with_redis_away_people_sign_in_and_guessing_is_limited(away, sales):
    client = Client()

    sign_in(client)
    for _ in range(5):
        sign_in(Client(), password="wrong")

    assert is_in(client)
    assert "Too many failed attempts." in sign_in(Client()).content.decode()


def test_with_redis_away_uses_are_still_counted(away):
    caches["default"].add("uses", 0, 60)

    assert [caches["default"].incr("uses"), caches["default"].incr("uses")] == [1, 2]
