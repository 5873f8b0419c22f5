"""S25, S26, S36: a token and a person go through a whole installation at DEBUG, and are looked for everywhere."""

import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis
import requests

from leadmachine.demo.people import PASSWORD
from tests.faults.installation import Browser, Installation, command, wait_for
from tests.security.echo import Echo
from tests.security.sinks import ADDRESS, NAME, dressed_up, hits, token_pieces

pytestmark = [
    pytest.mark.processes,
    pytest.mark.timeout(300),
]

TOKEN = "AQXcanary-W41_UPs5ioT-t8HESyODB4FqbkJ8LrV-5mff4gPODzOYR"
TOKEN_FORM = "/integrations/linkedin/token/"
CSRF = re.compile(r"csrfmiddlewaretoken\W+value=\W\w+|X-CSRFToken\W+\w+")
PHONE = "+31 20 771 8822"
PEOPLE = {"admin": "clara@contoso.example", "sales": "", "ops": ""}
PAGES = (
    "/dashboard/", "/my-day/", "/tasks/", "/leads/", "/deals/", "/integrations/linkedin/",
    "/integrations/linkedin/token/",
    "/integrations/linkedin/token/remove/",
    "/integrations/linkedin/events/", "/company/", "/company/people/", "/company/audit/", "/account/",
    "/account/sessions/", "/api/v1/docs/",
)  # fmt: skip
API = ("leads", "deals", "conversion-rules", "conversion-events", "schema")
# Where the person's own words belong: the CRM itself, and a session, which remembers what its owner searched for
# (docs/decisions/search.md).
OF_THE_CRM = re.compile(
    r"page /leads/|page /deals/|api leads|api deals|table crm\.(lead|deal|leadsearch)$"
)
CALLS_THE_LEAD_BY_NAME = re.compile("page /(dashboard|integrations/linkedin/events)/")
SESSIONS = "from django.contrib.sessions.models import Session; print([s.get_decoded() for s in Session.objects.all()])"


class Monitor:
    """Records all commands that the broker gets while it is used as a context."""

    def __init__(self, url: str) -> None:
        self.seen: list[str] = []
        # There may be no command for a while.
        self._client = redis.Redis.from_url(url, socket_timeout=None)
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> "Monitor":
        self._thread.start()
        wait_for(
            lambda: self._client.ping() and self.seen,
            seconds=10,
            told="the monitor sees a command",
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._client.echo("enough")
        self._thread.join()
        self._client.close()

    def _listen(self) -> None:
        with self._client.monitor() as monitor:
            for heard in monitor.listen():
                self.seen.append(str(heard["command"]))
                if "enough" in self.seen[-1]:
                    return


@pytest.fixture
def broker() -> Iterator[redis.Redis]:
    client = redis.Redis.from_url(re.sub(r"/\d*$", "", os.environ["REDIS_URL"]) + "/9")
    client.flushdb()
    yield client
    client.flushdb()
    client.close()


@pytest.mark.thorough
def test_a_token_and_a_person_are_found_nowhere_but_where_they_belong(
    tmp_path: Path, broker: redis.Redis
) -> None:
    url = re.sub(r"/\d*$", "", os.environ["REDIS_URL"]) + "/9"
    with Echo() as linkedin, Installation(
        tmp_path, linkedin_url=linkedin.url, redis_url=url, LOG_LEVEL="DEBUG", GUNICORN_CMD_ARGS="--access-logfile -",
        LINKEDIN_SANDBOX="off",
    ) as installation, Monitor(url) as monitor:  # fmt: skip
        installation.start("web", command("web"))
        installation.start_worker("worker1", "--loglevel", "DEBUG", "--task-events")
        installation.wait_for_web()
        installation.wait_for_worker()

        sinks = use_it(installation)
        sinks |= {
            f"broker key {key!r}": repr(_value(broker, key))
            for key in broker.scan_iter()
        }
        sinks |= {"broker monitor": "\n".join(monitor.seen)}
        sinks |= machine(installation)
        installation.stop()
        sinks |= {
            f"log of {path.stem}": path.read_text(errors="replace")
            for path in tmp_path.glob("*.log")
        }

    found = {name: hits(told, token_pieces(TOKEN)) for name, told in sinks.items()}
    page = CSRF.sub("", sinks["page /integrations/linkedin/"])
    found |= {
        "any four characters": [
            TOKEN[at : at + 4]
            for at in range(len(TOKEN) - 3)
            if TOKEN[at : at + 4] in page
        ]
    }
    found |= {
        f"{name} (person)": hits(told, person_in(name)) for name, told in sinks.items()
    }
    print(f"\n{len(sinks)} sinks: {', '.join(sorted(sinks))}")
    assert {name: pieces for name, pieces in found.items() if pieces} == {}
    assert len(sinks) >= 20


def person_in(sink: str) -> list[str]:
    """What of the person must not be in this sink."""
    if OF_THE_CRM.match(sink):
        return []
    return [*dressed_up(ADDRESS), PHONE] + (
        [] if CALLS_THE_LEAD_BY_NAME.match(sink) else [NAME]
    )


def use_it(installation: Installation) -> dict[str, str]:
    """Do the main job as an admin, with a mistake on the way. Returns every page and response by name."""
    admin = Browser(installation.url)
    admin.post(
        "/login/", form_at="/login/", username=PEOPLE["admin"], password=PASSWORD
    )
    sinks = {"form with an error": admin.post(
        TOKEN_FORM, form_at=TOKEN_FORM, token=TOKEN, ad_account_id="not digits"
    ).text}  # fmt: skip
    sinks["form with two lines"] = admin.post(
        TOKEN_FORM, form_at=TOKEN_FORM, token=f"{TOKEN}\n{TOKEN}"
    ).text
    sinks["form that saved"] = admin.post(
        TOKEN_FORM, form_at=TOKEN_FORM, token=f"  {TOKEN} "
    ).text
    for event, linkedin_id in (
        ("lead_created", "104012"),
        ("lead_qualified", "104099"),
    ):
        admin.post(
            "/integrations/linkedin/rules/new/", form_at="/integrations/linkedin/rules/new/", crm_event=event,
            name=event, linkedin_id=linkedin_id, frequency="once", is_active="on",
        )  # fmt: skip
    admin.post(
        "/integrations/linkedin/grace/",
        form_at="/integrations/linkedin/",
        grace_seconds="0",
    )
    status = re.search(
        r'<option value="(\d+)"[^>]*>\s*Qualified', admin.get("/leads/new/")
    )
    assert status
    admin.post(
        "/leads/new/", form_at="/leads/new/", first_name=NAME, last_name=NAME, email=ADDRESS, phone=PHONE,
        type="inbound", status=status[1], share_with_ad_platforms="on", notes=NAME,
    )  # fmt: skip
    admin.post("/leads/", form_at="/leads/", search=ADDRESS)
    wait_for(
        lambda: _attempts(installation) == [1, 1],
        seconds=40,
        told="both events were tried",
    )
    sinks |= {f"page {path}": admin.get(path) for path in PAGES}
    log = admin.get("/integrations/linkedin/events/")
    for address in re.findall(
        r'href="(/integrations/linkedin/events/\d+/|/leads/\d+/)"', log
    )[:4]:
        sinks[f"page {address}"] = admin.get(address)
    return sinks | _api(installation)


def _attempts(installation: Installation) -> list[int]:
    """How often each event of our person was tried."""
    with psycopg.connect(installation.database_url) as connection:
        found = connection.execute(
            "SELECT e.attempts FROM capi_conversionevent e JOIN crm_lead l ON l.id = e.lead_id WHERE l.first_name = %s",
            [NAME],
        )
        return [attempts for (attempts,) in found]


def _api(installation: Installation) -> dict[str, str]:
    told = {}
    for role in ("admin", "sales", "ops"):
        made = installation.run(
            [
                "python",
                "manage.py",
                "create_api_key",
                "--company",
                "contoso",
                "--role",
                role,
                "--name",
                role,
            ]
        )
        key = re.search(r"lm_[\w-]+", made)
        assert key
        for kind in API:
            answer = requests.get(
                f"{installation.url}/api/v1/{kind}/",
                headers={"Authorization": f"Bearer {key[0]}"},
                timeout=10,
            )
            told[f"api {kind} as {role}"] = answer.text + repr(answer.headers)
    return told


def machine(installation: Installation) -> dict[str, str]:
    """The sinks of the machine, by name: tables, sessions, process arguments, health."""
    dump = json.loads(installation.run(["python", "manage.py", "dumpdata"]))
    tables: dict[str, list[Any]] = {}
    for row in dump:
        tables.setdefault(row["model"], []).append(row)
    processes = [
        psutil.Process(process.pid) for process in installation.running.values()
    ]
    everyone = [
        *processes,
        *(child for process in processes for child in process.children(recursive=True)),
    ]
    return {
        **{f"table {name}": json.dumps(rows) for name, rows in tables.items()},
        "sessions": installation.run(
            ["python", "manage.py", "shell", "--no-imports", "-c", SESSIONS]
        ),
        "process arguments": repr([process.cmdline() for process in everyone]),
        "health": Browser(installation.url).get("/healthz"),
    }


def _value(broker: redis.Redis, key: bytes) -> Any:
    kind = broker.type(key)
    reads = {b"string": broker.get, b"list": lambda name: broker.lrange(name, 0, -1), b"hash": broker.hgetall,
             b"set": broker.smembers, b"zset": lambda name: broker.zrange(name, 0, -1)}  # fmt: skip
    return reads[kind](key) if kind in reads else kind
