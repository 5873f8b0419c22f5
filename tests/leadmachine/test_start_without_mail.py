"""If no mail server is configured, the start says what works without one; and sign-in works."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leadmachine import checks
from tests.faults.installation import create_database, drop_database
from tests.faults.processes import Processes, command, free_port, wait_for
from tests.faults.world import PRODUCTION
from tests.leadmachine.test_startup import start


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    database_url = create_database()
    started = Processes(
        tmp_path,
        port=free_port(),
        DATABASE_URL=database_url,
        REDIS_URL="redis://127.0.0.1:9/0",
        **PRODUCTION,
    )
    yield started
    started.stop()
    drop_database(database_url)


@pytest.mark.processes
@pytest.mark.parametrize(
    "name", ["web", pytest.param("worker", marks=pytest.mark.thorough)]
)
def test_each_process_says_so_at_its_start(processes: Processes, name: str) -> None:
    processes.start(name, command(name))

    wait_for(lambda: "W010" in processes.log(name), seconds=30, told=f"{name} warns")
    assert "EMAIL_URL is not set" in processes.log(name)
    assert "Without mail, people can't be invited" in processes.log(name)
    assert processes.running[name].poll() is None


def test_with_a_way_for_mail_nothing_is_said() -> None:
    with_mail = start(
        "manage.py", "check", EMAIL_URL="smtp+tls://crm:secret@mail.example.com:587"
    )
    without = start("manage.py", "check")

    assert "W010" not in with_mail.stderr
    assert "W010" in without.stderr
    assert "secret" not in with_mail.stderr + with_mail.stdout
    assert [with_mail.returncode, without.returncode] == [0, 0]


@pytest.mark.parametrize(
    ("url", "found"),
    [("", ["leadmachine.W010"]), ("smtp://localhost:25", []), ("dummymail://", [])],
)
def test_any_way_that_is_named_is_enough(
    settings: Any, url: str, found: list[str]
) -> None:
    settings.EMAIL_URL = url

    assert [message.id for message in checks.mail()] == found
