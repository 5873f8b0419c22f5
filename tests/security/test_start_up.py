"""What production refuses, in a line that says what to do (more in tests/leadmachine/test_startup.py)."""

import subprocess
import sys
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from crm.models import User
from leadmachine import production_checks
from leadmachine.demo import people
from tests.leadmachine.test_startup import GOOD, start


@pytest.mark.parametrize(
    ("wrong", "id_"),
    [
        ({"SECRET_KEY": "django-insecure-" + "x" * 60}, "leadmachine.E001"),
        ({"LEADMACHINE_URL": "http://crm.example.com"}, "leadmachine.E004"),
        pytest.param(
            {"SECRET_KEY": GOOD["LEADMACHINE_TOKEN_KEYS"]},
            "leadmachine.E001",
            marks=pytest.mark.thorough,
        ),
        pytest.param(
            {"LEADMACHINE_TOKEN_KEYS": "change-me"},
            "capi.E102",
            marks=pytest.mark.thorough,
        ),
    ],
    ids=lambda value: str(value)[:50],
)
def test_it_refuses_with_one_clear_line(wrong: dict[str, str], id_: str) -> None:
    result = start(**wrong)

    assert result.returncode != 0
    assert [line for line in result.stderr.splitlines() if id_ in line]
    assert "Traceback" not in result.stderr
    assert not any(
        value in result.stderr
        for value in wrong.values()
        if not value.startswith("http")
    )


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("redis://broker.example.com:6379/0", ["leadmachine.E005"]),
        ("redis://:secret@broker.example.com:6379/0", []),
        ("redis://127.0.0.1:6379/0", []),
        ("", []),
    ],
)
def test_a_broker_elsewhere_has_a_password(
    settings: Any, url: str, found: list[str]
) -> None:
    settings.DEBUG, settings.REDIS_URL = False, url

    assert [message.id for message in production_checks.broker_password()] == found


@pytest.mark.django_db
def test_the_demos_passwords_never_come_into_production(settings: Any) -> None:
    settings.DEBUG, settings.LINKEDIN_SANDBOX = False, False

    with pytest.raises(CommandError, match="passwords are public"):
        call_command("demo")


@pytest.mark.django_db
def test_it_does_not_start_while_a_demo_person_can_sign_in(settings: Any) -> None:
    settings.DEBUG = False
    people.create(people.CONTOSO)
    clara = User.objects.get(email="clara@contoso.example")

    refused = production_checks.demo_people()
    clara.set_password("a password of her own")
    clara.save()

    assert [message.id for message in refused] == ["leadmachine.E011"]
    assert "clara@contoso.example can sign in" in refused[0].msg
    assert production_checks.demo_people() == []


@pytest.mark.django_db
def test_a_demo_person_who_is_switched_off_is_no_reason(settings: Any) -> None:
    settings.DEBUG = False
    people.create(people.CONTOSO)
    User.objects.update(is_active=False)

    assert production_checks.demo_people() == []


def test_with_the_sandbox_on_the_start_says_that_linkedin_gets_nothing() -> None:
    result = start("manage.py", "check", LINKEDIN_SANDBOX="1")

    assert result.returncode == 0
    assert "capi.W113) The sandbox is on: no event reaches LinkedIn." in result.stderr


def test_without_any_setting_at_all_it_does_not_start() -> None:
    result = subprocess.run(
        [sys.executable, "-c", "import leadmachine.wsgi"],
        env={"PATH": "/usr/bin"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert result.returncode != 0
    assert "SECRET_KEY" in result.stderr
