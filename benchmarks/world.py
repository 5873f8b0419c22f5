"""The processes of a run: PostgreSQL, Valkey, the sandbox and workers."""

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import requests

ROOT = Path(__file__).resolve().parent.parent
LOG = ROOT / "var" / "bench.log"
LONG_SECONDS = 900.0


def start() -> None:
    """Start the services and set up Django. Call this before importing anything from LeadMachine."""
    environment = {
        "DEBUG": "1",  # for development keys; see benchmarks.settings
        "LINKEDIN_API_URL": f"http://127.0.0.1:{free_port()}",
        "LINKEDIN_SANDBOX": "1",
        "LOG_LEVEL": "WARNING",
    }
    os.environ.update(environment)
    LOG.parent.mkdir(exist_ok=True)
    LOG.unlink(missing_ok=True)
    from tests.services import start as start_postgresql_and_valkey

    start_postgresql_and_valkey()
    os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def linkedin(*, delay_ms: int = 0) -> Iterator[Path]:
    """Run the sandbox, which responds after `delay_ms`. Yields the path of its ledger."""
    url = os.environ["LINKEDIN_API_URL"]
    ledger = ROOT / "var" / f"bench-ledger-{os.getpid()}.jsonl"
    ledger.unlink(missing_ok=True)
    command = [
        "manage.py",
        "sandbox",
        "--port",
        url.rpartition(":")[2],
        "--ledger",
        str(ledger),
    ]
    with process([sys.executable, *command]):
        wait_for(lambda: _accepts_connections(url), 30)
        if delay_ms:
            requests.post(
                f"{url}/_control",
                json={"delay_ms": delay_ms, "times": 10_000_000},
                timeout=5,
            )
        yield ledger
    ledger.unlink(missing_ok=True)


@contextlib.contextmanager
def workers(
    count: int = 1, *arguments: str, **environment: str
) -> Iterator[list[psutil.Process]]:
    """Run this many `celery worker` processes. Yields them once they are ready."""
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "leadmachine",
        "worker",
        "--loglevel",
        "WARNING",
    ]
    command += arguments or ("--concurrency", "1")
    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(
                process(
                    [*command, "-n", f"bench{number}-{time.time_ns()}@localhost"],
                    **environment,
                )
            )
            for number in range(count)
        ]
        wait_for(
            lambda: all(
                len(worker.children()) > 0 or "threads" in command for worker in started
            ),
            60,
        )
        time.sleep(3)  # until they consume messages
        yield started


@contextlib.contextmanager
def process(command: list[str], **environment: str) -> Iterator[psutil.Process]:
    """Run a process, and stop it with all its children. Its output goes to var/bench.log."""
    with LOG.open("a") as log:
        started = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environment}, stdout=log, stderr=log
        )
    atexit.register(started.kill)
    watched = psutil.Process(started.pid)
    try:
        yield watched
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(20)
        except subprocess.TimeoutExpired:
            for child in watched.children(recursive=True):
                child.kill()
            started.kill()
            started.wait()


def wait_for(
    condition: Callable[[], Any], seconds: float = LONG_SECONDS, *, every: float = 0.05
) -> float:
    """Wait until the condition is true, and return the seconds that took. Raises TimeoutError after `seconds`."""
    started = time.perf_counter()
    while not condition():
        if time.perf_counter() - started > seconds:
            raise TimeoutError(f"The condition was not met within {seconds:g} seconds.")
        time.sleep(every)
    return time.perf_counter() - started


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """Return the user and system time of these processes and their children, including those that have ended."""
    total = 0.0
    for parent in processes:
        times = parent.cpu_times()
        total += times.user + times.system + times.children_user + times.children_system
        for child in parent.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = child.cpu_times()
                total += times.user + times.system
    return total


def servers() -> list[psutil.Process]:
    """Return the database and broker processes that this run started."""
    from tests.services import PIDS

    return [psutil.Process(pid) for pid in PIDS]


@contextlib.contextmanager
def written_through() -> Iterator[None]:
    """Let PostgreSQL wait for the disk at each commit. This is its default, which the tests switch off."""
    _wait_for_disk("on")
    try:
        yield
    finally:
        _wait_for_disk("off")


def _wait_for_disk(value: str) -> None:
    from django.db import connection

    with connection.cursor() as cursor:
        for statement in (
            f"ALTER SYSTEM SET fsync = {value}",
            f"ALTER SYSTEM SET synchronous_commit = {value}",
            "SELECT pg_reload_conf()",
            "CHECKPOINT",
        ):
            cursor.execute(statement)
    connection.close()


def _accepts_connections(url: str) -> bool:
    with contextlib.suppress(OSError):
        host, _, port = url.rpartition("/")[2].partition(":")
        with socket.create_connection((host, int(port)), 1):
            return True
    return False
