"""Deliveries as processes that cost 20 ms each: a server that has loaded everything forks one for each order.

Run as `python -m tests.faults.forks`. It reads one order per line, and answers each with a line:

    deliver ID ...   a process that works the lanes of these companies; its process id
    poll PID         its exit code, or "running"
"""

import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NoReturn

import psutil

from leadmachine.startup import bound_worker


class Deliveries:
    """The caller's side of the server."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.folder = Path(environment["LEADMACHINE_KILL_POINTS"])
        with log.open("ab") as errors:
            self._server = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.forks"], env=dict(environment), text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            )  # fmt: skip

    def start(self, *company_ids: int) -> int:
        """Start a process that delivers for these companies, one after the other. Returns its process id."""
        return int(self._ask(f"deliver {' '.join(map(str, company_ids))}"))

    def poll(self, pid: int) -> int | None:
        """Returns how it ended: 0, or the negative number of the signal. None while it runs."""
        answer = self._ask(f"poll {pid}")
        return None if answer == "running" else int(answer)

    def wait(self, pid: int, *, seconds: float = 20) -> int:
        end = time.monotonic() + seconds
        while (code := self.poll(pid)) is None:
            assert time.monotonic() < end, f"delivery {pid} has not ended within {seconds} s"
            time.sleep(0.002)
        return code

    def run(self, *company_ids: int) -> int:
        """Run a whole delivery. Returns how it ended."""
        return self.wait(self.start(*company_ids))

    def wait_until_stopped(self, pid: int) -> None:
        process = psutil.Process(pid)
        end = time.monotonic() + 10
        while process.status() != psutil.STATUS_STOPPED:
            assert time.monotonic() < end, f"delivery {pid} has not come to the point where it freezes"
            time.sleep(0.002)

    def close(self) -> None:
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.close()
        self._server.wait(10)
        self._server.stdout.close()

    def _ask(self, order: str) -> str:
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write(order + "\n")
        self._server.stdin.flush()
        return self._server.stdout.readline().strip()


def main() -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadmachine.settings")
    django.setup()
    import capi.delivery.deliver  # noqa: F401 - loaded once, for all that are forked

    bound_worker()
    for line in sys.stdin:
        word, *ids = line.split()
        if word == "poll":
            answer = _poll(int(ids[0]))
        elif (pid := os.fork()) == 0:
            _deliver(map(int, ids))
        else:
            answer = str(pid)
        print(answer, flush=True)


def _deliver(company_ids: Iterable[int]) -> NoReturn:
    from capi.delivery.deliver import deliver

    try:
        for company_id in company_ids:
            deliver(company_id)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _poll(pid: int) -> str:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return str(os.waitstatus_to_exitcode(status)) if ended else "running"


if __name__ == "__main__":
    main()
