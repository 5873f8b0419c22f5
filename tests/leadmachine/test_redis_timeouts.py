"""Every connection to Redis has timeouts: no read, write or connect waits for ever, and the kernel checks idle ones."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import caches

from capi.delivery import wakeup
from leadmachine.celery import app
from leadmachine.settings import CACHES

pytestmark = pytest.mark.django_db


@pytest.fixture
def shared_cache(settings: Any) -> Iterator[Any]:
    settings.CACHES = CACHES
    yield caches["default"]
    for pool in caches["default"]._cache._pools.values():
        pool.disconnect()
    del caches["default"]


def options(line: Any) -> dict[str, Any]:
    with line.channel() as channel:
        return dict(channel.pool.connection_kwargs)


def test_a_line_of_a_worker_or_beat_has_an_end() -> None:
    with app.connection_for_read() as line:
        assert_bounded(options(line), at_most=3)


def test_the_line_of_wake_ups_has_an_end() -> None:
    wakeup._broker_connection.cache_clear()

    with wakeup._broker_connection() as line:
        assert_bounded(options(line), at_most=settings.WAKE_TIMEOUT_SECONDS)
    wakeup._broker_connection.cache_clear()


def test_a_line_of_the_cache_has_an_end(shared_cache: Any) -> None:
    pool = shared_cache._cache._get_connection_pool(write=True)

    assert_bounded(pool.connection_kwargs, at_most=0.25)


def assert_bounded(kwargs: dict[str, Any], *, at_most: float) -> None:
    assert 0 < kwargs["socket_timeout"] <= at_most
    assert 0 < kwargs["socket_connect_timeout"] <= at_most
    assert kwargs["socket_keepalive"]
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        assert kwargs["socket_keepalive_options"][socket.TCP_USER_TIMEOUT] == 10_000
