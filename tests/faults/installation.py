"""A whole installation of processes of their own, started with the commands of docker-compose.yml."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import requests
import yaml
from cryptography.fernet import Fernet
from django.conf import settings

COMPOSE = yaml.safe_load((settings.BASE_DIR / "docker-compose.yml").read_text())
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
STOP_SECONDS = 15


def command(service: str) -> list[str]:
    """What docker-compose.yml starts for a service."""
    return [*COMPOSE["services"][service]["command"]]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def create_database() -> str:
    """The URL of a new, empty database in the PostgreSQL of this test run."""
    url = urlsplit(os.environ["DATABASE_URL"])
    name = f"processes_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return urlunsplit(url._replace(path=f"/{name}"))


def drop_database(url: str) -> None:
    name = urlsplit(url).path.strip("/")
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def wait_for(what: Callable[[], Any], *, seconds: float, told: str) -> Any:
    """What `what` answers, once that is something. Fails after so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := what():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {told}")


class Installation:
    """The processes, their logs, and the address of the web server. Used as a context; it ends all it started."""

    def __init__(self, folder: Path, *, linkedin_url: str, redis_url: str, **environment: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.database_url = create_database()
        self.environment = {
            "PATH": PATH,
            "DEBUG": "on",
            "PORT": str(self.port),
            "SECRET_KEY": "for-this-test-alone-" * 4,
            "LEADMACHINE_TOKEN_KEYS": Fernet.generate_key().decode(),
            "LEADMACHINE_EMBEDDED_WORKER": "off",
            "LINKEDIN_API_URL": linkedin_url,
            "DATABASE_URL": self.database_url,
            "REDIS_URL": redis_url,
            **environment,
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Installation":
        self.run(command("migrate"))
        self.run(["python", "manage.py", "demo"])
        return self

    def __exit__(self, kind: object, error: object, at: object) -> None:
        self.stop()
        if kind is not None:
            print(self.logs())
        drop_database(self.database_url)

    def run(self, words: list[str]) -> str:
        """Run a command to its end and return what it printed."""
        done = subprocess.run(
            words, env=self.environment, cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, name: str, words: list[str]) -> None:
        """Start a process that stays; it writes to a log of its own."""
        with (self.folder / f"{name}.log").open("wb") as log:
            self._processes[name] = subprocess.Popen(
                words, env=self.environment, cwd=settings.BASE_DIR, stdout=log, stderr=log, start_new_session=True
            )

    def start_all(self) -> None:
        """The web server, two workers and beat; returns when a browser could go there."""
        self.start("web", command("web"))
        for worker in ("worker1", "worker2"):
            self.start(worker, [*command("worker"), "--hostname", f"{worker}@%h"])
        self.start("beat", command("beat"))
        wait_for(self.is_up, seconds=30, told="the web server answers")

    def is_up(self) -> bool:
        try:
            return requests.get(f"{self.url}/healthz", timeout=5).status_code == 200
        except requests.ConnectionError:
            return False

    def stop(self, ending: signal.Signals = signal.SIGTERM) -> dict[str, int]:
        """End all processes, each by its id. Returns their exit codes."""
        for process in self._processes.values():
            # Ctrl-C in a terminal reaches the children as well.
            (os.killpg if ending == signal.SIGINT else os.kill)(process.pid, ending)
        codes = {}
        for name, process in self._processes.items():
            try:
                codes[name] = process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                codes[name] = process.wait()
        self._processes.clear()
        return codes

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def logs(self) -> str:
        return "\n".join(f"--- {path.stem} ---\n{path.read_text(errors='replace')}" for path in self._log_paths())

    def _log_paths(self) -> list[Path]:
        return sorted(self.folder.glob("*.log"))


class Browser:
    """A person at the pages, without a screen: keeps cookies, fills in forms, follows redirects."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()

    def get(self, path: str) -> str:
        return self._checked(self._session.get(self.url + path, timeout=10)).text

    def post(self, path: str, *, form_at: str, **fields: str) -> requests.Response:
        """Send a form that stands on the page `form_at`."""
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get(form_at))
        assert found, f"no form on {form_at}"
        data = {"csrfmiddlewaretoken": found[1], **fields}
        return self._checked(self._session.post(self.url + path, data, timeout=10))

    def _checked(self, response: requests.Response) -> requests.Response:
        assert response.status_code == 200, f"{response.status_code} {response.url}\n{response.text[:2000]}"
        return response
