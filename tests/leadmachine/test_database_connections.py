"""How many connections a process says that it takes, and what it says where there are fewer."""

import logging
from typing import Any

import pytest
from django.db import OperationalError, connection

from leadmachine import database_connections
from leadmachine.database_connections import (
    Room,
    concurrency_of,
    log,
    of_web,
    of_worker,
    warnings,
)


def test_a_process_takes_one_for_each_of_its_threads(settings: Any) -> None:
    settings.EMBEDDED_WORKER = False
    assert (of_web(threads=8), of_worker(2)) == (9, 10)

    settings.EMBEDDED_WORKER = True
    assert of_web(threads=8) == 19


@pytest.mark.parametrize("given", [4, "4"])
def test_the_size_of_the_pool_is_that_of_the_command_line(given: Any) -> None:
    assert concurrency_of({"concurrency": given}) == 4
    assert concurrency_of({"concurrency": None}) >= 1


def ids(room: Room, needed: int) -> list[str]:
    return [line.partition(":")[0] for line in warnings(room, "This worker", needed)]


def test_too_few_connections_are_reported() -> None:
    assert ids(Room(limit=97, in_use=86, is_pooled=False), 11) == []
    assert ids(Room(limit=97, in_use=87, is_pooled=False), 11) == ["leadmachine.W026"]


@pytest.mark.parametrize(
    ("age", "expected"),
    [(60, ["leadmachine.W027"]), (None, ["leadmachine.W027"]), (0, [])],
)
def test_so_is_a_pooler_whose_connections_are_kept(
    monkeypatch: pytest.MonkeyPatch, age: int | None, expected: list[str]
) -> None:
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", age)

    assert ids(Room(limit=97, in_use=0, is_pooled=True), 11) == expected


@pytest.mark.django_db(transaction=True)
def test_the_server_is_asked_for_its_limits(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "leadmachine.database_connections")

    log("This worker", 11)
    log("This worker", 100_000)

    assert (
        "This worker takes up to 11 connections to PostgreSQL, which accepts "
        in caplog.messages[0]
    )
    assert "leadmachine.W026: PostgreSQL accepts " in caplog.messages[2]
    assert not database_connections.read_room().is_pooled
    assert "leadmachine.W027" not in caplog.text


def test_a_database_that_is_down_is_no_reason_to_fail(
    monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def down() -> Room:
        raise OperationalError

    monkeypatch.setattr(database_connections, "read_room", down)

    log("This worker", 11)

    assert caplog.messages == []
