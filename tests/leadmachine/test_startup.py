"""Wrong settings are reported at the start, each in a line that says what to do."""

import base64
import os
import re
import subprocess
import sys
from typing import Any

import pytest
from cryptography.fernet import Fernet

from leadmachine import checks, production_checks, settings_delivery

GOOD = {
    "SECRET_KEY": "XGdOsyFzDSKNIlmjFJIXdvUxShfcAvwxkxIwRkyNvMZdMcmCXKpfWRoutGiXhpt4",
    "ALLOWED_HOSTS": "crm.example.com",
    # The same in each process: it becomes part of test names, which pytest-xdist's workers compare.
    "LEADMACHINE_TOKEN_KEYS": base64.urlsafe_b64encode(bytes(range(32))).decode(),
    "LEADMACHINE_EMBEDDED_WORKER": "0",
}
KEY_OF_ONE_LETTER = base64.urlsafe_b64encode(b"x" * 32).decode()


def start(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Start a process in production mode: what a web server loads, unless told otherwise."""
    inherited = {
        name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ
    }
    return subprocess.run(
        [sys.executable, *(arguments or ("-c", "import leadmachine.wsgi"))],
        env={
            **inherited,
            **GOOD,
            "DATABASE_URL": os.environ["DATABASE_URL"],
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_good_settings_start() -> None:
    result = start()

    assert result.returncode == 0
    assert "does not start" not in result.stderr


# Several at once, because a start takes seconds: settings, and the id and the fix in the line about them
WRONG = [
    [
        ({"SECRET_KEY": "short"}, "leadmachine.E001", "Set SECRET_KEY"),
        ({"ALLOWED_HOSTS": ""}, "leadmachine.E002", "Set ALLOWED_HOSTS"),
        ({"DATABASE_URL": ""}, "leadmachine.E031", "Set it to postgres://"),
        ({"LEADMACHINE_TOKEN_KEYS": ""}, "capi.E101", "Generate one"),
        (
            {"EMAIL_URL": "smtp+tls://crm:p%C3%A4ss@mail.example.com:587"},
            "leadmachine.E014",
            "another password",
        ),
        (
            {"TRUSTED_PROXIES": "10.0.0.1,caddy"},
            "leadmachine.E007",
            "addresses or networks",
        ),
        ({"LINKEDIN_API_URL": "http://127.0.0.1:9"}, "capi.E103", "LINKEDIN_SANDBOX=1"),
        ({"LINKEDIN_API_VERSION": "latest"}, "capi.E105", "such as 202609"),
        (
            {"LEADMACHINE_REQUESTS_PER_MINUTE": "0"},
            "leadmachine.E024",
            "Set it to 1 or more",
        ),
    ],
    [
        (
            {"SECRET_KEY": ""},
            "leadmachine.E001",
            "on a development machine: set DEBUG=1",
        ),
        ({"ALLOWED_HOSTS": "*"}, "leadmachine.E002", "Set ALLOWED_HOSTS"),
        (
            {"DATABASE_URL": "sqlite:///crm.sqlite3"},
            "leadmachine.E031",
            "does not name a PostgreSQL",
        ),
        ({"LEADMACHINE_TOKEN_KEYS": "not-a-key"}, "capi.E102", "Generate one"),
        (
            {"REDIS_URL": "redis://broker.example.com:6379/0"},
            "leadmachine.E005",
            "add it to REDIS_URL",
        ),
        (
            {"LINKEDIN_API_URL": "https://example.org"},
            "capi.E103",
            "Leave LINKEDIN_API_URL unset",
        ),
    ],
    [
        (
            {"SECRET_KEY": GOOD["LEADMACHINE_TOKEN_KEYS"]},
            "leadmachine.E003",
            "Generate a separate key",
        ),
        ({"LEADMACHINE_HTTPS": "off"}, "leadmachine.E006", "put a TLS proxy in front"),
        (
            {"LEADMACHINE_FILES_STORAGE": '{"BACKEND": "storages.s4"}'},
            "leadmachine.E012",
            "docs/operating.md",
        ),
        (
            {"LINKEDIN_API_URL": "https://api.linkedin.com.example.org"},
            "capi.E103",
            "on this machine",
        ),
    ],
    [
        (
            {"LEADMACHINE_HSTS_PRELOAD": "on"},
            "leadmachine.E013",
            "LEADMACHINE_HSTS_SUBDOMAINS=on",
        ),
        ({"SECRET_KEY": "x" * 60}, "leadmachine.E001", "50 or more random characters"),
        (
            {"LEADMACHINE_TOKEN_KEYS": KEY_OF_ONE_LETTER},
            "capi.E104",
            "a new one in front",
        ),
        (
            {"LEADMACHINE_FILES_STORAGE": "s3://crm-files"},
            "leadmachine.E012",
            "docs/operating.md",
        ),
        (
            {"LINKEDIN_API_URL": "https://127.0.0.1@example.org"},
            "capi.E103",
            "on this machine",
        ),
    ],
    [
        (
            {"TRUSTED_PROXIES": "10.0.0.0/33", "DEBUG": "on"},
            "leadmachine.E007",
            "addresses or networks",
        ),
        ({"LINKEDIN_API_URL": "http://10.0.0.7:8001"}, "capi.E103", "on this machine"),
    ],
    [
        (
            {"LINKEDIN_API_URL": "http://10.0.0.7:8001", "LINKEDIN_SANDBOX": "1"},
            "capi.E103",
            "on this machine",
        )
    ],
    [
        (
            {"LINKEDIN_API_URL": "https://api.linkedin.com", "LINKEDIN_SANDBOX": "1"},
            "capi.E103",
            "Remove one",
        )
    ],
]


@pytest.mark.parametrize(
    "wrong",
    [
        *WRONG[:2],
        *(pytest.param(wrong, marks=pytest.mark.thorough) for wrong in WRONG[2:]),
    ],
    ids=lambda wrong: " ".join(id_ for _, id_, _ in wrong),
)
def test_wrong_settings_refuse_to_start_and_say_how_to_mend_each(
    wrong: list[tuple[dict[str, str], str, str]],
) -> None:
    result = start(
        **dict(item for settings, _, _ in wrong for item in settings.items())
    )

    assert result.returncode != 0
    for _, id_, mend in wrong:
        (line,) = [line for line in result.stderr.splitlines() if line.startswith(id_)]
        assert mend in line
    assert "Traceback" not in result.stderr
    assert "not-a-key" not in result.stderr


NEWER = "from postgresql.base import DatabaseFeatures; DatabaseFeatures.minimum_database_version = (99,); "


def test_an_older_postgresql_is_refused_in_one_line() -> None:
    result = start("-c", f"{NEWER} import leadmachine.wsgi")

    assert result.returncode == 1
    assert (
        "\nleadmachine.E032: PostgreSQL 99 or later is required (found 1"
        in result.stderr
    )
    assert "Traceback" not in result.stderr


def test_nor_is_it_migrated() -> None:
    command = "import sys; sys.argv[1:] = ['migrate']; import runpy; runpy.run_path('manage.py', run_name='__main__')"

    result = start("-c", f"{NEWER} {command}")

    assert result.returncode == 1
    assert "(leadmachine.E032) PostgreSQL 99 or later is required" in result.stderr


KEY, OTHER_KEY = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ([" "], "number 1 of 1"),
        ([KEY, " "], "number 2 of 2"),
        ([KEY[:-1]], "number 1 of 1"),
        ([KEY, OTHER_KEY[:-4]], "number 2 of 2"),
        # Fernet would take the first of them, and the second would be lost.
        ([KEY + OTHER_KEY], "number 1 of 1"),
        ([f"{KEY}x"], "number 1 of 1"),
        ([f'"{KEY}"'], "number 1 of 1"),
        ([KEY[:20], KEY, KEY[20:]], "number 1 and 3 of 3"),
        (["\u00e9" * 44], "number 1 of 1"),
    ],
    ids=[
        "blank",
        "a blank one",
        "cut",
        "the second cut",
        "no comma",
        "too long",
        "quoted",
        "torn",
        "no ASCII",
    ],
)
def test_keys_that_are_none_are_told_by_number_and_not_repeated(
    settings: Any, keys: list[str], said: str
) -> None:
    settings.TOKEN_KEYS = keys

    found = checks.token_keys()

    assert [message.id for message in found] == ["capi.E102"]
    assert said in found[0].msg
    assert not any(
        key.strip() and key in f"{found[0].msg} {found[0].hint}" for key in keys
    )


@pytest.mark.parametrize(
    "keys",
    [
        [KEY, OTHER_KEY],
        [OTHER_KEY, f" {KEY} "],
        [KEY, KEY],
        [KEY.replace("-", "+").replace("_", "/")],
    ],
    ids=["two", "the other order, with blanks", "twice", "as openssl writes it"],
)
def test_keys_in_any_order_and_any_usual_form_are_taken(
    settings: Any, keys: list[str]
) -> None:
    settings.TOKEN_KEYS = keys

    assert checks.token_keys() == []


@pytest.mark.parametrize(
    ("keys", "id_"),
    [
        pytest.param(",", "capi.E101", marks=pytest.mark.thorough),
        (f"{KEY},{OTHER_KEY[:-4]}", "capi.E102"),
    ],
    ids=["a comma", "the second cut"],
)
def test_a_command_refuses_wrong_keys_without_a_traceback(keys: str, id_: str) -> None:
    result = start(
        "manage.py", "rotate_token_keys", "--dry-run", LEADMACHINE_TOKEN_KEYS=keys
    )

    assert result.returncode != 0
    assert id_ in result.stderr
    assert "Traceback" not in result.stderr
    assert KEY[:20] not in result.stderr + result.stdout


def test_a_lease_outlasts_requests_and_the_watchdog_outlasts_each_step() -> None:
    request, statement = (
        settings_delivery.SEND_TIMEOUT_SECONDS,
        settings_delivery.WORKER_STATEMENT_SECONDS,
    )

    assert 2 * request + 30 <= settings_delivery.LEASE_SECONDS
    assert request + statement + 15 <= settings_delivery.LEASE_SECONDS
    assert (
        max(request, statement, 2 * settings_delivery.SWEEP_SECONDS)
        < settings_delivery.STANDSTILL_SECONDS
    )


@pytest.mark.parametrize(
    ("level", "told"),
    [({}, 3), pytest.param({"LOG_LEVEL": "WARNING"}, 0, marks=pytest.mark.thorough)],
    ids=["", "WARNING"],
)
def test_what_each_part_of_the_product_tells_is_logged_unless_the_operator_wants_less(
    level, told
) -> None:
    tell = "[logging.getLogger(f'{name}.housekeeping').info('Done.') for name in ('crm', 'capi', 'leadmachine')]"

    result = start("-c", f"import leadmachine.wsgi, logging; {tell}", **level)

    assert (
        len(
            re.findall(
                "INFO (?:crm|capi|leadmachine).housekeeping: Done.", result.stderr
            )
        )
        == told
    )


@pytest.mark.parametrize(
    ("https", "proxies", "found"),
    [(True, [], True), (True, ["127.0.0.1"], False), (False, [], False)],
)
def test_a_proxy_that_no_setting_names_is_warned_of(
    settings, https, proxies, found
) -> None:
    settings.DEBUG, settings.HTTPS, settings.TRUSTED_PROXIES = False, https, proxies

    assert [message.id for message in production_checks.proxy_is_named()] == [
        "leadmachine.W013"
    ] * found


def test_workers_refuse_too() -> None:
    result = start(
        "-m",
        "celery",
        "-A",
        "leadmachine",
        "worker",
        ALLOWED_HOSTS="*",
        REDIS_URL="redis://127.0.0.1:9/0",
    )

    assert result.returncode != 0
    assert "leadmachine.E002" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_sandbox_may_be_asked_for_in_production() -> None:
    result = start(
        LINKEDIN_API_URL="http://127.0.0.1:9",
        LINKEDIN_SANDBOX="1",
        LINKEDIN_SANDBOX_PORT="0",
    )

    assert result.returncode == 0
