"""A PgBouncer between our processes and PostgreSQL, as Debian's package has it, with a pool of any size."""

import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from tests.faults.processes import free_port, wait_for
from tests.faults.servers import Database

PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


@contextmanager
def pgbouncer(database: Database, *, through: int, **settings: object) -> Iterator[int]:
    """Start one with these settings, and yield its port. It reaches the database through that port of this machine."""
    assert PROGRAM
    folder, port = Path(tempfile.mkdtemp(prefix="leadmachine-pgbouncer-")), free_port()
    parameters = {**database.parameters, "host": "127.0.0.1", "port": through}
    given = {
        "listen_addr": "127.0.0.1",
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": "session",
        "ignore_startup_parameters": "options",
        **settings,
    }
    lines = [f"{name} = {value}" for name, value in given.items()]
    address = " ".join(f"{name}={value}" for name, value in parameters.items())
    (folder / "pgbouncer.ini").write_text(
        "\n".join(["[databases]", f"* = {address}", "[pgbouncer]", *lines])
    )
    folder.chmod(0o755)  # PgBouncer doesn't run as root
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [PROGRAM, "-u", "nobody", str(folder / "pgbouncer.ini")],
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(
            lambda: _answers(port, parameters), seconds=10, told="PgBouncer answers"
        )
        yield port
    finally:
        process.send_signal(signal.SIGQUIT)  # at once: SIGTERM waits for its clients
        process.wait(10)
        shutil.rmtree(folder)


def _answers(port: int, parameters: dict[str, object]) -> bool:
    try:
        with psycopg.connect(
            host="127.0.0.1",
            port=port,
            dbname=parameters["dbname"],
            user=parameters["user"],
        ):
            return True
    except psycopg.OperationalError:
        return False
