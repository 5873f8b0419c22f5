"""Processes of LeadMachine, started with the commands of docker-compose.yml, each with a log of its own."""

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import requests
import yaml
from cryptography.fernet import Fernet
from django.conf import settings

from tests.faults.forks import PROGRAMS, Forked, Forks

COMPOSE = yaml.safe_load((settings.BASE_DIR / "docker-compose.yml").read_text())
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
STOP_SECONDS = 15
# What a loaded machine may need to start a process; it proves nothing.
START_SECONDS = 90


def command(service: str) -> list[str]:
    """What docker-compose.yml starts for a service."""
    return [*COMPOSE["services"][service]["command"]]


def job(*words: str) -> list[str]:
    """The command line of one of the jobs in `jobs.py`."""
    return [sys.executable, "-m", "tests.faults.jobs", *words]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def wait_for(
    what: Callable[[], Any], *, seconds: float, told: str, every: float = 0.05
) -> Any:
    """Call `what` every `every` seconds until it returns something true, and return that. Fails after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := what():
            return answer
        time.sleep(every)
    raise AssertionError(f"not within {seconds} s: {told}")


class Processes:
    """Starts processes with one environment, and ends all that it started, each by its id."""

    # Forks the processes that have the same environment, which saves loading all again.
    forks: Forks | None = None

    def __init__(self, folder: Path, *, port: int, **environment: str) -> None:
        self.folder = folder
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.environment = {
            "PATH": PATH,
            # celery's own path has no tests.settings.
            "PYTHONPATH": str(settings.BASE_DIR),
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            # tests/services.py finds it by this, and ends it after Ctrl-C.
            "TMPDIR": tempfile.gettempdir(),
            "DEBUG": "on",
            "PORT": str(port),
            "SECRET_KEY": "for-this-test-alone-" * 4,
            "LEADMACHINE_TOKEN_KEYS": Fernet.generate_key().decode(),
            "LEADMACHINE_EMBEDDED_WORKER": "off",
            **environment,
        }
        self.running: dict[str, subprocess.Popen[bytes] | Forked] = {}

    def run(self, words: list[str]) -> str:
        """Run a command to its end and return what it printed."""
        done = subprocess.run(
            words,
            env=self.environment,
            cwd=settings.BASE_DIR,
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
        )
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(
        self, name: str, words: list[str], **environment: str
    ) -> subprocess.Popen[bytes] | Forked:
        """Start a process that keeps running. A second one of the same name appends to the log of the first."""
        log = self.folder / f"{name}.log"
        environment = {**self.environment, **environment}
        if (
            self.forks
            and words[0] in PROGRAMS
            and environment == self.forks.environment
        ):
            self.running[name] = self.forks.start(words, log)
        else:
            with log.open("ab") as opened:
                self.running[name] = subprocess.Popen(
                    words,
                    env=environment,
                    cwd=settings.BASE_DIR,
                    stdout=opened,
                    stderr=opened,
                    start_new_session=True,
                )
        return self.running[name]

    def start_worker(
        self, name: str = "worker1", *options: str, **environment: str
    ) -> None:
        self.start(
            name,
            [*command("worker"), "--hostname", f"{name}@%h", *options],
            **environment,
        )

    def start_all(self) -> None:
        """Start the web server and two workers. Returns once a browser could connect."""
        self.start("web", command("web"))
        self.start_worker("worker1")
        self.start_worker("worker2")
        self.wait_for_web()

    def wait_for_web(self) -> None:
        wait_for(self.is_up, seconds=START_SECONDS, told="the web server answers")

    def wait_for_worker(self, name: str = "worker1", *, times: int = 1) -> None:
        """Wait until the worker of this name has been ready so many times."""
        wait_for(
            lambda: self.log(name).count("ready.") >= times,
            seconds=START_SECONDS,
            told=f"{name} is ready",
        )

    def is_up(self) -> bool:
        try:
            return requests.get(f"{self.url}/healthz", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    def children(self, name: str) -> list[psutil.Process]:
        """The processes that a process of ours has started, such as the pool of a worker."""
        return psutil.Process(self.running[name].pid).children()

    def send_signal(self, name: str, sent: signal.Signals) -> None:
        """Send a signal to a process and its children, as the kernel and a terminal do."""
        with contextlib.suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(self.running[name].pid, sent)

    def kill(self, *names: str) -> None:
        """SIGKILL a process and its children, and wait for the end."""
        for name in names:
            self.send_signal(name, signal.SIGKILL)
        for name in names:
            self.running.pop(name).wait(STOP_SECONDS)

    def stop(self, ending: signal.Signals = signal.SIGTERM) -> dict[str, int]:
        """End all processes, each by its id. Returns their exit codes."""
        for process in self.running.values():
            # Ctrl-C in a terminal reaches the children as well.
            (os.killpg if ending == signal.SIGINT else os.kill)(process.pid, ending)
        codes = {name: _end_of(process) for name, process in self.running.items()}
        self.running.clear()
        return codes

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def logs(self) -> str:
        return "\n".join(
            f"--- {path.stem} ---\n{path.read_text(errors='replace')}"
            for path in self._log_paths()
        )

    def _log_paths(self) -> list[Path]:
        return sorted(self.folder.glob("*.log"))


def _end_of(process: subprocess.Popen[bytes] | Forked) -> int:
    try:
        return process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait()


def as_environment(small: Mapping[str, Any]) -> dict[str, str]:
    """Settings of `leadmachine.settings` as the variables that set them, by `tests.settings`."""
    return {f"LEADMACHINE_{name}": json.dumps(value) for name, value in small.items()}
