"""`make run`: development on a machine of one's own, and nothing at all on a server."""

import os
import shutil
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings as product
from django.core.management import CommandError, call_command

from crm.models import Company, User
from leadmachine import environment as leadmachine_environment
from postgresql import own_server

NO_NOTE = "-\n"
PROGRAM = """
import sys
from leadmachine.environment import note_for_command
from leadmachine.settings_delivery import DEBUG, LINKEDIN_SANDBOX, EMBEDDED_WORKER
print(DEBUG, LINKEDIN_SANDBOX, EMBEDDED_WORKER, note_for_command(sys.argv) or "-")
"""
STAND_IN = '#!/bin/sh\necho "$(basename $0) $* make=$LEADMACHINE_MAKE_RUN debug=$DEBUG sandbox=$LINKEDIN_SANDBOX"\n'


def environment(
    folder: Path, env_file: str, *, program: str = "gunicorn", **given: str
) -> list[str]:
    """DEBUG, the sandbox and the embedded worker, as the settings have them with this `.env`; and what comes first."""
    package = folder / "leadmachine"
    package.mkdir()
    (package / "__init__.py").touch()
    for name in ("environment.py", "settings_delivery.py"):
        shutil.copy(product.BASE_DIR / "leadmachine" / name, package)
    shutil.copytree(product.BASE_DIR / "postgresql", folder / "postgresql")
    (folder / ".env").write_text(env_file)
    (folder / program).write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, program, "check"], cwd=folder, env={"PATH": os.environ["PATH"], **given},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    *values, note = done.stdout.split(maxsplit=3)
    return [*values, *([] if note == NO_NOTE else [note])]


def of_make_run(folder: Path) -> Path:
    """A folder in which `make run` has generated its keys."""
    (folder / "var").mkdir()
    (folder / "var" / "secret_key").write_text("generated")
    return folder


MAKE = {"LEADMACHINE_MAKE_RUN": "1"}


@pytest.mark.parametrize(
    ("env_file", "given", "expected"),
    [
        ("", MAKE, ["True", "True", "True"]),
        ("", {}, ["False", "False", "True"]),
        ("DEBUG=off\n", MAKE, ["False", "False", "True"]),
        ("SECRET_KEY=of-a-server\n", MAKE, ["False", "False", "True"]),
        ("SECRET_KEY=of-a-server\nDEBUG=on\n", MAKE, ["True", "True", "True"]),
        ("LINKEDIN_SANDBOX=off\nLEADMACHINE_EMBEDDED_WORKER=off\n", MAKE, ["True", "False", "False"]),
        ("DEBUG=off\n", {**MAKE, "DEBUG": "on"}, ["True", "True", "True"]),
    ],
    ids=["a clone", "not make", "off", "a server's", "said", "parts off", "the environment first"],
)  # fmt: skip
def test_it_overrules_neither_the_environment_nor_a_file_of_settings(
    tmp_path, env_file, given, expected
) -> None:
    assert environment(tmp_path, env_file, **given) == expected


def test_a_command_in_its_folder_works_on_its_data_and_keys_and_says_so(
    tmp_path,
) -> None:
    *values, note = environment(
        of_make_run(tmp_path), "PORT=8123\n", program="manage.py"
    )

    assert values == ["True", "True", "True"]
    assert note.startswith("Using the data and keys of make run (var/)")


@pytest.mark.parametrize("program", ["gunicorn", "celery"])
def test_a_server_or_worker_does_not(tmp_path, program) -> None:
    """An installation that has lost its settings must not start with the keys of a folder in which it once began."""
    values = environment(of_make_run(tmp_path), "", program=program)

    assert values[0] == "False"


def test_nor_does_a_command_where_make_run_was_never_used(tmp_path) -> None:
    assert environment(tmp_path, "", program="manage.py") == ["False", "False", "True"]


@pytest.mark.parametrize(
    "setting",
    [
        "SECRET_KEY",
        "LEADMACHINE_TOKEN_KEYS",
        "ALLOWED_HOSTS",
        "DATABASE_URL",
        "REDIS_URL",
    ],
)
@pytest.mark.parametrize("is_in_file", [False, True])
def test_the_settings_of_an_installation_keep_its_rules_there(
    tmp_path, setting, is_in_file
) -> None:
    given = {setting: "redis://of-a-server"}
    env_file = f"{setting}=redis://of-a-server\n" if is_in_file else ""

    debug, sandbox, _, *note = environment(
        of_make_run(tmp_path),
        env_file,
        program="manage.py",
        **({} if is_in_file else given),
    )

    assert (debug, sandbox) == ("False", "False")
    if setting == "SECRET_KEY":
        assert note == []
    else:
        assert note[0].startswith(
            f"The rules of production apply, because {setting} is set. With the keys of make run: "
        )
        assert note[0].endswith(
            f"LEADMACHINE_MAKE_RUN=1 {sys.executable} manage.py check\n"
        )


@pytest.mark.parametrize("debug", ["on", "off"])
def test_debug_is_obeyed_there_too(tmp_path, debug) -> None:
    values = environment(of_make_run(tmp_path), "", program="manage.py", DEBUG=debug)

    assert values == [str(debug == "on")] * 2 + ["True"]


def test_it_sets_nothing_but_that_it_is_make_run(tmp_path) -> None:
    shutil.copy(product.BASE_DIR / "Makefile", tmp_path)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    for name in ("python", "gunicorn"):
        (tmp_path / ".venv/bin" / name).write_text(STAND_IN)
        (tmp_path / ".venv/bin" / name).chmod(0o755)

    done = subprocess.run(
        ["make", "--no-print-directory", "-o", ".venv/.to-run", "run"],
        cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip

    assert done.stdout.splitlines() == [
        "python manage.py demo --set-up make=1 debug= sandbox=",
        "gunicorn --config leadmachine/gunicorn.py leadmachine.wsgi make=1 debug= sandbox=",
    ]


# --- its database ---


@pytest.fixture
def own_database(tmp_path, monkeypatch):
    """The folder of the keys and data, in which no PostgreSQL is started."""
    monkeypatch.setattr(leadmachine_environment, "VAR_DIR", tmp_path)
    monkeypatch.setattr(own_server, "use", lambda folder: f"postgres://{folder}")
    return tmp_path


def test_it_has_a_postgresql_of_its_own(own_database, capsys) -> None:
    assert (
        leadmachine_environment.dev_database_url()
        == f"postgres://{own_database}/postgresql"
    )
    assert capsys.readouterr().err == ""


def test_a_postgresql_that_cannot_start_ends_it_with_a_sentence(
    own_database, monkeypatch
) -> None:
    monkeypatch.setattr(own_server, "use", raise_cannot_start)

    with pytest.raises(
        SystemExit, match=r"^The PostgreSQL for development is not installed"
    ):
        leadmachine_environment.dev_database_url()


def raise_cannot_start(folder: Path) -> str:
    raise own_server.CannotStart(own_server.NO_WHEEL)


# --- what it sets up ---


@pytest.fixture
def development(settings, monkeypatch):
    settings.DEBUG = True
    monkeypatch.delenv("DATABASE_URL")


def set_up() -> str:
    printed = StringIO()
    call_command("demo", set_up=True, stdout=printed)
    return printed.getvalue()


@pytest.mark.django_db
def test_on_a_server_it_stops_before_it_changes_anything(settings, monkeypatch) -> None:
    settings.DEBUG = False
    migrated: list[object] = []
    monkeypatch.setattr(
        "leadmachine.management.commands.demo.call_command", migrated.append
    )

    with pytest.raises(
        CommandError, match=r"A server is started as docs/production\.md says"
    ):
        set_up()

    assert migrated == []
    assert not User.objects.exists()


@pytest.mark.django_db
def test_a_database_of_its_own_gets_the_demo_once(development) -> None:
    first, second = set_up(), set_up()

    assert "Demo companies loaded." in first
    assert "anna@northwind.example" in second
    assert Company.objects.count() == 2


@pytest.mark.django_db
def test_a_database_with_other_companies_gets_nobody_with_a_public_password(
    development, company
) -> None:
    Company.objects.update(slug="our-own")

    said = set_up()

    assert (
        said == "This database has companies of its own, so no demo data was added.\n"
    )
    assert not User.objects.exists()


@pytest.mark.django_db
def test_a_database_that_was_named_gets_it_only_when_asked_for(
    settings, monkeypatch
) -> None:
    settings.DEBUG = True
    monkeypatch.setenv("DATABASE_URL", "postgres://crm@db/crm")

    said = set_up()

    assert "DATABASE_URL names a database of your own" in said
    assert not User.objects.exists()
    call_command("demo", stdout=StringIO())
    assert User.objects.exists()
