"""/healthz and /readyz: what each of them checks, and what it says in each state."""

import json
import logging
from typing import Any

import pytest
import requests
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.db import OperationalError, ProgrammingError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from whitenoise.storage import CompressedManifestStaticFilesStorage

from leadmachine import middleware, version
from tests.faults.installation import create_database, drop_database
from tests.faults.processes import Processes, command, free_port, wait_for

ADDRESS = "10.0.0.5:8000"  # none of ALLOWED_HOSTS
AWAY = "The database can't be reached."


@pytest.fixture(autouse=True)
def _hosts(settings) -> None:
    settings.ALLOWED_HOSTS = ["crm.example.com"]
    settings.SECURE_SSL_REDIRECT = True


@pytest.fixture
def no_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise OperationalError("connection refused to 10.0.0.7 for user leadmachine")

    monkeypatch.setattr(connection, "ensure_connection", refuse)
    monkeypatch.setattr(connection, "cursor", refuse)


def migrations() -> set[tuple[str, str]]:
    """The migrations on disk."""
    return set(MigrationLoader(connection).disk_migrations)


def ask(path: str, **headers: str) -> tuple[int, Any]:
    answer = Client(raise_request_exception=False).get(
        path, HTTP_HOST=ADDRESS, **headers
    )
    assert answer.headers["Content-Type"] == "application/json"
    return answer.status_code, answer.json()


def test_healthz_tells_of_its_process_alone(no_database) -> None:
    assert ask("/healthz") == (200, {"status": "ok"})


@pytest.mark.django_db
def test_healthz_asks_the_database_nothing(django_assert_num_queries) -> None:
    with django_assert_num_queries(0):
        ask("/healthz")


@pytest.mark.django_db
def test_readyz_is_200_where_everything_is_there() -> None:
    assert ask("/readyz") == (200, {"status": "ready"})


def test_readyz_says_that_the_database_is_away_and_no_more_of_it(no_database) -> None:
    assert ask("/readyz") == (503, {"status": "not ready", "missing": [AWAY]})


@pytest.mark.django_db
def test_readyz_counts_the_migrations_that_are_not_applied() -> None:
    MigrationRecorder(connection).record_unapplied(
        *max(name for name in migrations() if name[0] == "capi")
    )

    status, said = ask("/readyz")

    assert status == 503
    assert said["missing"] == ["1 migration is not applied: run manage.py migrate."]


@pytest.mark.django_db
def test_readyz_says_of_a_database_that_is_empty_that_all_are_missing(
    monkeypatch,
) -> None:
    monkeypatch.setattr(MigrationRecorder, "has_table", lambda recorder: False)

    _, said = ask("/readyz")

    assert said["missing"] == [
        f"{len(migrations())} migrations are not applied: run manage.py migrate."
    ]


@pytest.mark.django_db
def test_readyz_loads_the_migrations_once_however_often_it_is_asked(
    monkeypatch,
) -> None:
    ask("/readyz")

    def load(loader: Any) -> None:
        raise AssertionError("the modules are loaded again")

    monkeypatch.setattr(MigrationLoader, "load_disk", load)

    assert ask("/readyz") == (200, {"status": "ready"})


@pytest.mark.django_db
def test_a_database_that_answers_and_refuses_is_not_called_away_and_the_log_says_why(
    monkeypatch, caplog
) -> None:
    def refuse(*args: Any) -> None:
        raise ProgrammingError("permission denied for table django_migrations")

    monkeypatch.setattr(MigrationRecorder, "applied_migrations", refuse)

    status, said = ask("/readyz")

    assert status == 503
    assert said["missing"] == ["The applied migrations can't be read: see the log."]
    assert "permission denied" in caplog.text


@pytest.mark.django_db
def test_readyz_says_that_static_files_are_not_collected(
    monkeypatch, settings, tmp_path
) -> None:
    settings.STATIC_ROOT = tmp_path
    monkeypatch.setattr(
        middleware, "staticfiles_storage", CompressedManifestStaticFilesStorage()
    )

    status, said = ask("/readyz")

    assert status == 503
    assert said["missing"] == [
        "Static files are not collected: run manage.py collectstatic, then restart this process."
    ]


@pytest.mark.django_db
def test_collected_static_files_are_ready_and_so_are_those_of_a_developer(
    monkeypatch, settings, tmp_path
) -> None:
    settings.STATIC_ROOT = tmp_path
    manifest = {"version": "1.1", "paths": {"app.css": "app.0a1b.css"}, "hash": ""}
    (tmp_path / "staticfiles.json").write_text(json.dumps(manifest))
    for storage in (CompressedManifestStaticFilesStorage(), StaticFilesStorage()):
        monkeypatch.setattr(middleware, "staticfiles_storage", storage)

        assert ask("/readyz") == (200, {"status": "ready"})


@pytest.mark.django_db
def test_whatever_else_goes_wrong_is_told_in_json_and_logged(
    monkeypatch, caplog
) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(middleware, "MigrationRecorder", fail)

    status, said = ask("/readyz")

    assert status == 503
    assert said["missing"] == ["The applied migrations can't be read: see the log."]
    assert "a secret of the inside" in caplog.text


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_they_are_only_read(path, method, no_database) -> None:
    answer = Client().generic(method, path, HTTP_HOST=ADDRESS)

    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_head_is_answered_like_a_get(path) -> None:
    assert Client().head(path, HTTP_HOST=ADDRESS).status_code == 200


def test_every_other_address_keeps_to_its_hosts(caplog) -> None:
    caplog.set_level(logging.CRITICAL, "django.security")

    assert Client().get("/login/", HTTP_HOST=ADDRESS, secure=True).status_code == 400
    assert Client().get("/healthz/", HTTP_HOST=ADDRESS, secure=True).status_code == 400


@pytest.mark.processes
def test_a_production_server_on_an_empty_database_lives_and_says_what_is_missing(
    tmp_path,
) -> None:
    database = create_database()
    production = {"DEBUG": "off", "ALLOWED_HOSTS": "crm.example.com"}
    processes = Processes(
        tmp_path, port=free_port(), DATABASE_URL=database, **production
    )
    try:
        processes.start("web", command("web"))
        wait_for(processes.is_up, seconds=60, told="the web server answers")

        first_line = processes.log("web").splitlines()[0]
        assert first_line.endswith(f"{version.in_full()}: the web server starts.")
        answer = requests.get(
            f"{processes.url}/readyz", timeout=10, allow_redirects=False
        )

        assert answer.status_code == 503
        assert any(
            "migrations are not applied" in line for line in answer.json()["missing"]
        )
        drop_database(database)
        answer = requests.get(
            f"{processes.url}/readyz", timeout=10, allow_redirects=False
        )
        assert answer.status_code == 503
        assert AWAY in answer.json()["missing"]
        assert requests.get(f"{processes.url}/healthz", timeout=10).status_code == 200
    finally:
        processes.stop()


@pytest.mark.django_db(transaction=True)
def test_readyz_says_that_the_database_is_read_only() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    try:
        status, said = ask("/readyz")
    finally:
        connection.close()

    assert status == 503
    assert said["missing"] == [
        "The database is read-only, like a standby that is not promoted yet."
    ]
