"""The guide to production and its systemd units, run in a folder that stands for a machine's root."""

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis
import requests
from django.conf import settings

from postgresql import own_server
from tests import services
from tests.faults.processes import free_port, wait_for

GUIDE = settings.BASE_DIR / "docs" / "production.md"
UNITS = settings.BASE_DIR / "deploy" / "systemd"
PASSWORD = "a long and good password"
SERVICES = "leadmachine-web leadmachine-worker"

# The lines that no test can run, and why. A block is run unless all of its lines are here.
NOT_RUN = {
    "apt install --yes python3-venv postgresql-common redis-server caddy curl": "Debian's packages",
    "/usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y": "Debian's packages",
    "apt install --yes postgresql-18": "Debian's packages",
    "adduser --system --group --no-create-home --home /opt/leadmachine leadmachine": "an account of the machine",
    "deluser --system leadmachine": "an account of the machine",
    "/opt/leadmachine/.venv/bin/pip install --require-hashes --requirement /opt/leadmachine/requirements.lock": "PyPI",
    "systemctl daemon-reload": "systemd",
    "systemctl reload caddy": "systemd",
    f"systemctl enable --now {SERVICES}": "systemd",
    f"systemctl status {SERVICES}": "systemd",
    f"systemctl stop {SERVICES}": "systemd",
    f"systemctl start {SERVICES}": "systemd",
    f"systemctl disable --now {SERVICES} leadmachine-backup.timer": "systemd",
    "systemctl enable --now leadmachine-backup.timer": "systemd",
    f"systemctl stop {SERVICES} leadmachine-backup.timer": "systemd",
    f"systemctl start {SERVICES} leadmachine-backup.timer": "systemd",
    "journalctl --unit 'leadmachine-*' --since today --priority warning": "systemd",
    "journalctl --unit 'leadmachine-*' --output cat --grep \"Privacy log\" > /var/backups/leadmachine/privacy.log": (
        "systemd"
    ),
}
STAND_INS = {
    "runuser": 'shift 3; exec "$@"',  # runuser -u NAME -- COMMAND
    "chown": "exit 0",
    "python3": f'exec {shlex.quote(sys.executable)} "$@"',
    **dict.fromkeys(
        ["apt", "adduser", "deluser", "systemctl", "journalctl"],
        'echo "not in a test: $0" >&2; exit 1',
    ),
}


def blocks(heading: str = "") -> list[str]:
    """The shell blocks of the guide, or of one of its parts, in their order."""
    text = GUIDE.read_text()
    if heading:
        text = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def is_run(block: str) -> bool:
    return not all(line in NOT_RUN for line in block.splitlines())


def parsed(path: Path) -> configparser.ConfigParser:
    """A unit file."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(path.read_text())
    return parser


class Machine:
    """A folder with /opt, /etc and /var, a database and a role of its own, and the processes of the units."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = free_port()
        self.name = f"production_{uuid.uuid4().hex[:12]}"
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.starts = 0
        # No other test's.
        self.redis_url = urlunsplit(
            urlsplit(os.environ["REDIS_URL"])._replace(path="/11")
        )
        self.server = urlsplit(os.environ["DATABASE_URL"])
        for folder in (
            "etc/systemd/system",
            "etc/caddy",
            "opt",
            "var/backups",
            "stand-ins",
            "home",
        ):
            (root / folder).mkdir(parents=True)
        for name, script in STAND_INS.items():
            (root / "stand-ins" / name).write_text(f"#!/bin/sh\n{script}\n")
            (root / "stand-ins" / name).chmod(0o755)

    @property
    def opt(self) -> Path:
        return self.root / "opt" / "leadmachine"

    @property
    def units(self) -> list[Path]:
        return sorted((self.root / "etc/systemd/system").glob("leadmachine-*"))

    def run(self, block: str) -> str:
        """Run a block of the guide in the folder of the release, and return what it printed."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.substituted(block)],
            cwd=settings.BASE_DIR, env=self.environment, capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        return done.stdout

    def run_part(self, heading: str) -> None:
        """Run all of this part of the guide that a test can run."""
        for block in filter(is_run, blocks(heading)):
            self.run(block)
            if "-m venv" in block:
                self.take_packages()

    def substituted(self, text: str) -> str:
        lines = [self._of_this_role(line) for line in text.splitlines()]
        pairs = {
            "postgres:////run/postgresql/leadmachine": self.database_url,
            "redis://127.0.0.1:6379/0": self.redis_url,
            # No mail at all.
            "smtp+tls://crm%40example.com:password@mail.example.com:587": "smtp://127.0.0.1:9",
            "/opt/leadmachine": str(self.opt),
            "/etc/": f"{self.root}/etc/",
            "/var/backups": f"{self.root}/var/backups",
            "127.0.0.1:8000": f"127.0.0.1:{self.port}",
            "PORT=8000": f"PORT={self.port}",
        }
        whole = "\n".join(lines)
        for written, here in pairs.items():
            whole = whole.replace(written, here)
        return whole

    def _of_this_role(self, line: str) -> str:
        is_about_it = line.startswith("runuser -u postgres --")
        return (
            re.sub(r"(?<= )leadmachine(?=_rehearsal| |$)", self.name, line)
            if is_about_it
            else line
        )

    @property
    def database_url(self) -> str:
        url = self.server._replace(path=f"/{self.name}")
        # There any role connects without a password, as over Debian's socket.
        if services.POSTGRES:
            url = url._replace(
                netloc=url.netloc.replace("postgres:@", f"{self.name}:@")
            )
        return urlunsplit(url)

    @property
    def environment(self) -> dict[str, str]:
        info = psycopg.conninfo.conninfo_to_dict(os.environ["DATABASE_URL"])
        server = {
            "PGHOST": info.get("host"),
            "PGPORT": info.get("port"),
            "PGUSER": info.get("user"),
        }
        return {
            "PATH": f"{self.root}/stand-ins:{Path(own_server.program('psql')).parent}:/usr/bin:/bin",
            "HOME": str(self.root / "home"),
            "PGPASSWORD": str(info.get("password") or ""),
            "LEADMACHINE_ADMIN_PASSWORD": PASSWORD,
            **{name: str(value) for name, value in server.items() if value},
        }

    def take_packages(self) -> None:
        """Instead of pip: give the new virtual environment the packages that are installed for the tests."""
        packages = Path(requests.__file__).parents[1]
        [site] = self.opt.glob(".venv/lib/python*/site-packages")
        (site / "of-the-tests.pth").write_text(f"{packages}\n")
        for name in ("gunicorn", "celery"):
            _, _, script = (
                Path(sys.executable).with_name(name).read_text().partition("\n")
            )
            (self.opt / ".venv/bin" / name).write_text(
                f"#!{self.opt}/.venv/bin/python\n{script}"
            )
            (self.opt / ".venv/bin" / name).chmod(0o755)

    def start(self) -> None:
        """Start what the installed units keep running, with the environment that systemd gives."""
        self.starts += 1
        for name in SERVICES.split():
            path = self.root / "etc/systemd/system" / f"{name}.service"
            service = parsed(path)["Service"]
            given = (
                dict([service["Environment"].split("=", 1)])
                if "Environment" in service
                else {}
            )
            with self._log(path.stem).open("wb") as log:
                self.running[path.stem] = subprocess.Popen(
                    shlex.split(self.substituted(service["ExecStart"])),
                    cwd=self.substituted(service["WorkingDirectory"]),
                    env={"PATH": "/usr/bin:/bin", **given}, stdout=log, stderr=log, start_new_session=True,
                )  # fmt: skip
        wait_for(
            self._is_up,
            seconds=120,
            told=f"web and worker are there\n{self.logs()}",
            every=0.2,
        )

    def _is_up(self) -> bool:
        dead = [
            name for name, process in self.running.items() if process.poll() is not None
        ]
        assert not dead, self.logs()
        web, worker = (
            self._log("leadmachine-web").read_text(),
            self._log("leadmachine-worker").read_text(),
        )
        return "LeadMachine is ready" in web and "ready." in worker

    def _log(self, name: str) -> Path:
        return self.root / f"{name}-{self.starts}.log"

    def stop(self) -> dict[str, int]:
        """SIGTERM to each main process, as systemd sends it. Returns the exit codes."""
        for process in self.running.values():
            process.terminate()
        codes = {name: process.wait(60) for name, process in self.running.items()}
        self.running.clear()
        return codes

    def logs(self) -> str:
        return "\n".join(
            path.read_text(errors="replace") for path in sorted(self.root.glob("*.log"))
        )

    def clean_up(self) -> None:
        self.stop()
        with redis.Redis.from_url(self.redis_url) as broker:
            broker.flushdb()
        with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')
            connection.execute(f'DROP ROLE IF EXISTS "{self.name}"')
        shutil.rmtree(self.root, ignore_errors=True)
