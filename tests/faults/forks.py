"""Forks processes of LeadMachine from a server that has already loaded its modules.

Run as `python -m tests.faults.forks`. It reads one order per line, as JSON, and answers each with its number and

    {"words": [...], "log": PATH}   the id of a process that runs this command and writes to this file
    {"poll": PID}                   the exit code of that process, or "running"

From there on a forked web server or worker does what a started one does: it reads its command line, checks its
settings, opens its connections, and ends as an interpreter does. What it doesn't show is that the modules load, and
with which settings: where that matters, a test calls `World.stop_forking()`, or uses `Processes` as it is.
"""

import gc
import importlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import psutil

from tests import data_stack

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("gunicorn", "celery", "deliver")  # the last one is our own: deliver ID ...
# What the programs load once they run. `leadmachine.wsgi` is left to them, since loading it starts the web server.
LOADED_LATER = (
    "gunicorn.arbiter", "gunicorn.glogging", "leadmachine.web_worker", "leadmachine.embedded", "leadmachine.startup",
    "leadmachine.urls", "celery.bin.celery", "celery.apps.worker", "celery.worker.consumer",
    "celery.concurrency.prefork", "celery.concurrency.thread", "kombu.transport.redis", "capi.delivery.deliver",
    "leadmachine.timers",
)  # fmt: skip


class Forks:
    """The caller's side of the server."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.environment = dict(environment)
        self._log = log
        self._numbers = itertools.count(1)
        with log.open("ab") as errors:
            # In a session of its own: Ctrl-C would end it before the processes that it has forked.
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.forks"], env=self.environment, cwd=ROOT, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True,
            )  # fmt: skip

    def start(self, words: list[str], log: Path) -> "Forked":
        """Start a process that runs one of `PROGRAMS`, in a session of its own."""
        log.touch()
        return Forked(self, int(self.ask({"words": words, "log": str(log)})))

    def ask(self, order: Mapping[str, Any]) -> str:
        """Returns the answer to this order, and drops those that a test's time limit has kept it from reading."""
        assert self._server.stdin
        assert self._server.stdout
        number = next(self._numbers)
        self._server.stdin.write(json.dumps({"number": number, **order}) + "\n")
        self._server.stdin.flush()
        for line in self._server.stdout:
            answered, answer = line.split()
            if int(answered) == number:
                return answer
        raise AssertionError(
            f"the server that forks has ended:\n{self._log.read_text()}"
        )

    def is_running(self) -> bool:
        return self._server.poll() is None

    def close(self) -> None:
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.close()
        self._server.wait(10)
        self._server.stdout.close()


class Forked:
    """A process that was forked, with what tests use of `subprocess.Popen`."""

    def __init__(self, forks: Forks, pid: int) -> None:
        self.pid = pid
        self._forks = forks
        self._code: int | None = None

    def poll(self) -> int | None:
        """Returns how it ended: its exit code, or the negative number of the signal. None while it runs."""
        if (
            self._code is None
            and (answer := self._forks.ask({"poll": self.pid})) != "running"
        ):
            self._code = int(answer)
        return self._code

    def wait(self, timeout: float = 20) -> int:
        """Wait at most so many seconds until it ends. Returns how it ended. Raises subprocess.TimeoutExpired."""
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout)
            time.sleep(0.002)
        return code


class Deliveries:
    """Deliveries without Celery, for kills by the hundred. Each is known by its process id."""

    def __init__(self, forks: Forks, log: Path) -> None:
        self._forks = forks
        self._log = log
        self._started: dict[int, Forked] = {}

    def start(self, *company_ids: int) -> int:
        """Start a process that delivers for these companies, one after the other. Returns its process id."""
        forked = self._forks.start(["deliver", *map(str, company_ids)], self._log)
        self._started[forked.pid] = forked
        return forked.pid

    def wait(self, pid: int, *, seconds: float = 20) -> int:
        return self._started[pid].wait(seconds)

    def run(self, *company_ids: int) -> int:
        """Run a whole delivery. Returns how it ended."""
        return self.wait(self.start(*company_ids))

    def kill(self) -> None:
        """End those that still run: the next world has the same addresses."""
        running = [forked for forked in self._started.values() if forked.poll() is None]
        for forked in running:
            os.kill(forked.pid, signal.SIGKILL)
        for forked in running:
            forked.wait()

    def wait_until_stopped(self, pid: int) -> None:
        process = psutil.Process(pid)
        end = time.monotonic() + 10
        while process.status() != psutil.STATUS_STOPPED:
            assert time.monotonic() < end, (
                f"delivery {pid} has not come to the point where it freezes"
            )
            time.sleep(0.002)


def main() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadmachine.settings")
    django.setup()
    for module in LOADED_LATER:
        importlib.import_module(module)
    from celery.__main__ import main as celery
    from gunicorn.app.wsgiapp import run as gunicorn

    programs = dict(zip(PROGRAMS, (gunicorn, celery, _deliver), strict=True))
    # A collection in a forked process would copy the memory of all that is loaded.
    gc.freeze()
    assert threading.active_count() == 1, (
        "a thread would not be there in what is forked"
    )
    codes: dict[int, int] = {}  # of those that have ended, by process id
    for line in sys.stdin:
        order = json.loads(line)
        if "poll" in order:
            answer = _poll(order["poll"], codes)
        elif (pid := _fork(order["log"])) == 0:
            sys.argv[:] = order["words"]
            programs[sys.argv[0]]()
            return  # out of the loop: this is the process that was ordered
        else:
            codes.pop(pid, None)  # the id of one that ended long ago
            answer = str(pid)
        print(order["number"], answer, flush=True)


def _deliver() -> NoReturn:
    from capi.delivery.deliver import deliver
    from leadmachine.startup import bound_worker

    try:
        bound_worker()
        for company_id in sys.argv[1:]:
            deliver(int(company_id))
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    # At once: a kill at a random time is to hit the delivery, not the end of the
    # interpreter.
    os._exit(0)


def _fork(log: str) -> int:
    """Fork a process with this log and no input, in a session of its own. Returns its process id, or 0 in it."""
    is_ready, ready = os.pipe()
    if (pid := os.fork()) == 0:
        os.setsid()
        for number, path, flags in (
            (0, os.devnull, os.O_RDONLY),
            (1, log, os.O_WRONLY | os.O_APPEND),
        ):
            opened = os.open(path, flags)
            os.dup2(opened, number)
            os.close(opened)
        os.dup2(1, 2)
        os.close(ready)
    else:
        os.close(ready)
        # Whoever gets its id may at once end it with its whole session.
        os.read(is_ready, 1)
    os.close(is_ready)
    return pid


def _poll(pid: int, codes: dict[int, int]) -> str:
    if pid not in codes:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if not ended:
            return "running"
        codes[pid] = os.waitstatus_to_exitcode(status)
    return str(codes[pid])


if __name__ == "__main__":
    data_stack.give_room_to_threads()
    data_stack.with_room(main)()
