"""How many connections a process says that it takes, and what it says where there are fewer."""

import logging
import re
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from leadmachine import database_connections
from leadmachine.database_connections import (
    Processes,
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


def test_a_deploy_may_start_all_processes_before_the_old_ones_end(
    settings: Any,
) -> None:
    settings.EMBEDDED_WORKER = False
    processes = Processes(web=2, threads=8, workers=3, concurrency=4)

    assert (processes.connections, processes.needed) == (54, 118)


def said_by_command(*arguments: str) -> str:
    output = StringIO()
    call_command("connections", *arguments, stdout=output)
    return output.getvalue()


@pytest.mark.django_db(transaction=True)
def test_the_command_says_what_is_needed_and_that_it_is_there(settings: Any) -> None:
    settings.EMBEDDED_WORKER = False
    said = said_by_command("--web=1", "--workers=1", "--concurrency=2")

    assert "Web processes: 1, each takes up to 9 connections." in said
    assert "Workers: 1, each takes up to 10 connections." in said
    assert "All of them: 19. " in said
    assert "max_connections = 51 or more" in said
    assert "default_pool_size = 48 or more" in said
    assert re.search(r"PostgreSQL accepts \d+: enough\.", said)


@pytest.mark.django_db(transaction=True)
def test_the_command_fails_where_the_server_accepts_too_few() -> None:
    limit = database_connections.read_room().limit

    with pytest.raises(CommandError, match=rf"accepts {limit} connections, which is "):
        said_by_command(f"--web={limit}")


def test_the_command_fails_where_the_database_is_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def down() -> Room:
        raise OperationalError("connection refused")

    monkeypatch.setattr(database_connections, "read_room", down)

    with pytest.raises(CommandError, match="can't be reached: connection refused"):
        said_by_command()


@pytest.mark.parametrize("given", ["-1", "two", "1.5"])
def test_the_command_takes_numbers_only(given: str) -> None:
    with pytest.raises(CommandError, match="is not a number of 0 or more"):
        said_by_command(f"--web={given}")
