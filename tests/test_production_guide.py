"""docs/production.md and deploy/systemd: what they say is what works."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from django.conf import settings

from leadmachine import gunicorn
from tests.production_guide import (
    GUIDE,
    NOT_RUN,
    PASSWORD,
    UNITS,
    Machine,
    blocks,
    is_run,
    parsed,
)

HOST = "crm.example.com"
UNIT_PATHS = sorted(UNITS.glob("*.service"))
PROCESSES = [path for path in UNIT_PATHS if path.stem != "leadmachine-backup"]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "machine")
    yield made
    made.clean_up()


class Person:
    """Someone with a browser behind Caddy, which speaks HTTPS and passes the host's name on."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.cookies: dict[str, str] = {}

    def get(self, path: str) -> requests.Response:
        return self._send("GET", path)

    def sign_in(self) -> requests.Response:
        token = re.search(
            r'name="csrfmiddlewaretoken" value="(\w+)"', self.get("/login/").text
        )
        assert token
        fields = {
            "csrfmiddlewaretoken": token[1],
            "username": "ada@example.com",
            "password": PASSWORD,
        }
        return self._send("POST", "/login/", fields)

    def _send(
        self, method: str, path: str, fields: dict[str, str] | None = None
    ) -> requests.Response:
        headers = {
            "Host": HOST,
            "X-Forwarded-Proto": "https",
            "X-Forwarded-For": "198.51.100.7",
            "Referer": f"https://{HOST}/",
            # Set manually: they are for HTTPS alone, which ends at Caddy.
            "Cookie": "; ".join(
                f"{name}={value}" for name, value in self.cookies.items()
            ),
        }
        answer = requests.request(
            method,
            self.url + path,
            data=fields,
            headers=headers,
            timeout=20,
            allow_redirects=False,
        )
        self.cookies.update(answer.cookies.get_dict())
        return answer


INSTALLING = [
    "1. Packages and a service user", "2. The program", "3. The database", "4. The settings", "5. The first company",
    "6. The processes",
]  # fmt: skip
CHECKING, BACKUPS, UPGRADES, ENDING = (
    "7. Does it work?",
    "Backups",
    "Upgrades",
    "Removing it",
)


@pytest.mark.thorough
@pytest.mark.processes
@pytest.mark.timeout(400)
def test_the_guide_leads_from_nothing_to_a_dashboard_and_away_again(
    machine: Machine,
) -> None:
    for heading in INSTALLING:
        machine.run_part(heading)
    machine.start()
    health = machine.run(blocks(CHECKING)[0])
    person = Person(machine.port)
    signed_in, dashboard = person.sign_in(), person.get("/dashboard/")

    assert health.startswith('{"status": "ready"}')
    assert (signed_in.status_code, signed_in.headers.get("Location")) == (302, "/")
    assert dashboard.status_code == 200
    assert "Northwind BV" in dashboard.text
    # Collected.
    assert re.search(r'href="/static/[\w/.-]+\.[0-9a-f]{12}\.css"', dashboard.text)
    assert (machine.root / "etc/leadmachine/env").stat().st_mode & 0o777 == 0o640

    backup, restore, resume = filter(is_run, blocks(BACKUPS))
    machine.run(backup)
    assert set(machine.stop().values()) == {0}
    (machine.root / "var/backups/leadmachine/privacy.log").write_text("Another line.\n")
    assert "There is no privacy change in this log." in machine.run(restore)
    # There is no connection to LinkedIn yet.
    assert machine.run(resume) == "Sending was not paused.\n"
    remove, rehearse, upgrade = filter(is_run, blocks(UPGRADES))
    machine.run(remove)
    machine.run_part("2. The program")
    machine.run(blocks("6. The processes")[0])
    assert "There is nothing to migrate." in machine.run(rehearse)
    assert "The database is up to date." in machine.run(upgrade)
    machine.start()

    # The session has outlived the restore and the upgrade.
    assert person.get("/dashboard/").status_code == 200

    assert set(machine.stop().values()) == {0}
    machine.run_part(ENDING)

    assert machine.units == []
    assert not machine.opt.exists()
    assert "Traceback" not in machine.logs()


def test_a_block_is_run_whole_or_not_at_all() -> None:
    mixed = [
        block
        for block in blocks()
        if is_run(block) and any(line in NOT_RUN for line in block.splitlines())
    ]

    assert mixed == []


def test_each_line_that_is_not_run_is_in_the_guide() -> None:
    lines = {line for block in blocks() for line in block.splitlines()}

    assert NOT_RUN.keys() - lines == set()


def test_every_part_is_run() -> None:
    headings = re.findall(r"^## (.+)$", GUIDE.read_text(), re.MULTILINE)

    assert headings == [*INSTALLING, CHECKING, BACKUPS, UPGRADES, ENDING]
    assert sum(len(blocks(heading)) for heading in headings) == len(blocks())
    assert sum(map(is_run, blocks(CHECKING))) == 1


def test_no_other_kind_of_block_hides_a_command() -> None:
    assert re.findall(r"^```(?!sh$)(\S+)$", GUIDE.read_text(), re.MULTILINE) == []


def test_the_guide_sets_what_the_readme_says_that_production_needs() -> None:
    table = (
        (settings.BASE_DIR / "README.md")
        .read_text()
        .partition("| variable | what |")[2]
        .partition("\n\n")[0]
    )
    needed = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))

    assert {"SECRET_KEY", "LEADMACHINE_TOKEN_KEYS", "EMAIL_URL"} <= needed
    assert needed <= set(
        re.findall(r"^(\w+)=", blocks("4. The settings")[0], re.MULTILINE)
    )


def test_there_is_a_unit_for_each_process_and_for_backups() -> None:
    assert [path.stem for path in UNIT_PATHS] == [
        "leadmachine-backup",
        "leadmachine-web",
        "leadmachine-worker",
    ]


@pytest.mark.parametrize("path", PROCESSES, ids=lambda path: path.stem)
def test_a_unit_comes_back_by_itself_and_waits_for_what_it_needs(path: Path) -> None:
    unit = parsed(path)

    assert unit["Service"]["Restart"] == "always"
    assert 0 < int(unit["Service"]["RestartSec"]) <= 30
    assert unit["Unit"]["StartLimitIntervalSec"] == "0"
    for needed in (
        "postgresql.service",
        "redis-server.service",
        "network-online.target",
    ):
        assert needed in unit["Unit"]["After"].split()
        assert needed in unit["Unit"]["Wants"].split()
    assert unit["Install"]["WantedBy"] == "multi-user.target"


@pytest.mark.parametrize("path", PROCESSES, ids=lambda path: path.stem)
def test_a_unit_has_time_to_end_what_it_is_at(path: Path) -> None:
    service = parsed(path)["Service"]

    # An erasure waits a little longer.
    assert int(service["TimeoutStopSec"]) > settings.SEND_TIMEOUT_SECONDS + 2
    assert int(service["TimeoutStopSec"]) > gunicorn.graceful_timeout
    assert service["KillMode"] == "mixed"


@pytest.mark.parametrize("path", UNIT_PATHS, ids=lambda path: path.stem)
def test_a_unit_may_do_little_and_write_into_var_alone(path: Path) -> None:
    service = parsed(path)["Service"]

    assert (service["User"], service["Group"]) == ("leadmachine", "leadmachine")
    assert service["ProtectSystem"] == "strict"
    writable = {"leadmachine-backup": "/opt/leadmachine/var /var/backups/leadmachine"}
    assert service["ReadWritePaths"] == writable.get(path.stem, "/opt/leadmachine/var")
    assert service["CapabilityBoundingSet"] == ""
    for name in (
        "NoNewPrivileges",
        "ProtectHome",
        "PrivateTmp",
        "PrivateDevices",
        "RestrictNamespaces",
    ):
        assert service[name] == "yes"


@pytest.mark.parametrize("path", PROCESSES, ids=lambda path: path.stem)
def test_a_unit_starts_what_docker_compose_starts(path: Path) -> None:
    from tests.faults.processes import command

    program, *arguments = parsed(path)["Service"]["ExecStart"].split()

    assert [program.removeprefix("/opt/leadmachine/.venv/bin/"), *arguments] == command(
        path.stem.split("-")[1]
    )


def test_the_unit_for_backups_runs_the_command_of_the_guide_every_night() -> None:
    service = parsed(UNITS / "leadmachine-backup.service")["Service"]
    timer = parsed(UNITS / "leadmachine-backup.timer")["Timer"]
    command = service["ExecStart"].removeprefix("/opt/leadmachine/")

    assert service["Type"] == "oneshot"
    assert f"runuser -u leadmachine -- {command}\n" in blocks(BACKUPS)[0]
    assert timer["OnCalendar"].startswith("*-*-* ")


@pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="no systemd-analyze here"
)
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    for path in UNITS.iterdir():
        text = re.sub(r"/opt/leadmachine/.venv/bin/\w+", "/bin/true", path.read_text())
        (tmp_path / path.name).write_text(text)

    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, tmp_path.iterdir())],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert [line for line in done.stderr.splitlines() if "leadmachine" in line] == []
