"""What production refuses, in a line that says what to do (more in tests/leadmachine/test_startup.py)."""

import subprocess
import sys
import time
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from leadmachine import checks
from tests.leadmachine.test_startup import GOOD, start

SECONDS = 5
PROCESS_SECONDS = 3  # what a loaded machine may add to the start of Python itself


@pytest.mark.parametrize(
    ("wrong", "id_"),
    [
        ({"SECRET_KEY": "django-insecure-" + "x" * 60}, "leadmachine.E001"),
        ({"SECRET_KEY": GOOD["LEADMACHINE_TOKEN_KEYS"]}, "leadmachine.E001"),
        ({"LEADMACHINE_URL": "http://crm.example.com"}, "leadmachine.E004"),
        ({"LEADMACHINE_TOKEN_KEYS": "change-me"}, "capi.E102"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_it_refuses_with_one_clear_line_within_seconds(wrong: dict[str, str], id_: str) -> None:
    begun = time.monotonic()

    result = start(**wrong)

    assert result.returncode != 0
    assert [line for line in result.stderr.splitlines() if id_ in line]
    assert "Traceback" not in result.stderr
    assert not any(value in result.stderr for value in wrong.values() if not value.startswith("http"))
    assert time.monotonic() - begun < SECONDS + PROCESS_SECONDS


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("redis://broker.example.com:6379/0", ["leadmachine.W005"]),
        ("redis://:secret@broker.example.com:6379/0", []),
        ("redis://127.0.0.1:6379/0", []),
        ("", []),
    ],
)
def test_a_broker_elsewhere_without_a_password_is_warned_of(settings: Any, url: str, found: list[str]) -> None:
    settings.DEBUG, settings.REDIS_URL = False, url

    assert [message.id for message in checks.broker_password()] == found


@pytest.mark.django_db
def test_the_demos_passwords_never_come_into_production(settings: Any) -> None:
    settings.DEBUG, settings.LINKEDIN_SANDBOX = False, False

    with pytest.raises(CommandError, match="not for production"):
        call_command("demo")


def test_without_any_setting_at_all_it_does_not_start() -> None:
    result = subprocess.run(
        [sys.executable, "-c", "import leadmachine.wsgi"],
        env={"PATH": "/usr/bin"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert result.returncode != 0
    assert "SECRET_KEY" in result.stderr
