"""The restore drill: what was ended after the backup is never sent, everything else is, under the same event ids (F29).

By the commands into a new database, and by `pg_restore` into the same one below a worker that runs.
"""

import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from django.conf import settings as django_settings
from django.db import connection

from capi import services
from capi.models import Connection, ConversionEvent, ConversionRule, Heartbeat
from crm.models import Company, Lead, privacy_log
from crm.services.editing import delete
from crm.services.erasure import erase_lead
from leadmachine.log_format import SafeFormatter
from tests.faults import backups
from tests.faults.installation import create_database, drop_database
from tests.faults.processes import wait_for
from tests.faults.world import World, make_leads

pytestmark = [
    pytest.mark.faults,
    pytest.mark.django_db(transaction=True),
    pytest.mark.covers("F29"),
]

SENT_BEFORE, OPT_OUTS, ERASURES, CANCELLATIONS, DELETIONS, UNTOUCHED = (
    20,
    50,
    20,
    10,
    5,
    30,
)
SWEEPS = 3  # in which a worker would send whatever it may


@pytest.fixture
def log(caplog: Any) -> Any:
    """What this process writes to the privacy log."""
    caplog.set_level(logging.INFO, privacy_log.logger.name)
    return caplog


@pytest.fixture
def other_url() -> Iterator[str]:
    """An empty database next to that of the tests, as its processes reach it."""
    url = create_database()
    yield url
    drop_database(url)


def behind_proxy(world: World, url: str) -> str:
    name = urlsplit(url).path
    return urlunsplit(urlsplit(world.environment["DATABASE_URL"])._replace(path=name))


def manage(world: World, url: str, *words: str, given: str = "") -> str:
    """Run a command on the database of this URL, as the operator does."""
    done = subprocess.run(
        [sys.executable, "manage.py", *words], env={**world.environment, "DATABASE_URL": url}, input=given, text=True,
        cwd=django_settings.BASE_DIR, capture_output=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout


def rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(
        url.replace("postgres://", "postgresql://"), autocommit=True
    ) as database:
        return database.execute(statement).fetchall()


def accepted(world: World) -> list[str]:
    """The ids of all events that LinkedIn has accepted, oldest first."""
    taken = [
        entry for entry in world.ledger.entries() if 200 <= (entry.status or 0) < 300
    ]
    return [element["eventId"] for entry in taken for element in entry.elements]


def wait_for_sweeps(url: str) -> None:
    """Wait until a worker has swept this database a few times."""
    statement = "SELECT beat_at FROM capi_heartbeat WHERE name = 'sweep'"
    for _ in range(SWEEPS):
        before = rows(url, statement)
        wait_for(
            lambda before=before: rows(url, statement) != before,
            seconds=60,
            told="a worker sweeps",
        )


def people(company: Company) -> dict[str, list[Lead]]:
    """The leads by what happens to them after the backup."""
    leads = list(Lead.objects.for_company(company).order_by("pk"))[SENT_BEFORE:]
    parts: dict[str, list[Lead]] = {}
    counts = {
        "opted out": OPT_OUTS,
        "erased": ERASURES,
        "cancelled": CANCELLATIONS,
        "deleted": DELETIONS,
    }
    for name, count in counts.items():
        parts[name], leads = leads[:count], leads[count:]
    return parts


def change_after_the_backup(
    world: World, company: Company, parts: dict[str, list[Lead]]
) -> None:
    api = world.api(company)
    by_api, by_orm = (
        parts["opted out"][: OPT_OUTS // 2],
        parts["opted out"][OPT_OUTS // 2 :],
    )
    for lead in by_api:
        answer = api._session.patch(
            f"{world.url}/api/v1/leads/{lead.pk}/",
            json={"share_with_ad_platforms": False},
            timeout=30,
        )
        assert answer.status_code == 200
    Lead.objects.filter(pk__in=[lead.pk for lead in by_orm]).update(
        share_with_ad_platforms=False
    )
    for lead in parts["erased"]:
        erase_lead(lead=lead)
    cancelled = ConversionEvent.objects.filter(lead__in=parts["cancelled"]).order_by(
        "pk"
    )
    services.cancel_events(
        company=company, pks=list(cancelled.values_list("pk", flat=True))
    )
    for lead in parts["deleted"]:
        delete(row=lead)


def written(log: Any) -> str:
    """The log of this process."""
    formatter = SafeFormatter("{asctime} {levelname} {name}: {message}", style="{")
    return "\n".join(formatter.format(record) for record in log.records)


@pytest.mark.timeout(600)
@pytest.mark.representative
def test_into_a_new_database(
    world: World, other_url: str, log: Any, tmp_path: Path
) -> None:
    company = world.connect()
    make_leads(company, SENT_BEFORE)
    world.deliveries.run(company.pk)
    make_leads(
        company,
        OPT_OUTS + ERASURES + CANCELLATIONS + DELETIONS + UNTOUCHED,
        start=SENT_BEFORE,
    )
    test_event = services.send_test_event(rule=ConversionRule.objects.get())
    parts = people(company)
    of_them = ConversionEvent.objects.filter(
        lead__in=[lead for part in parts.values() for lead in part]
    )
    ended = set(of_them.values_list("event_id", flat=True))
    world.start_web()
    connection.close()
    (tmp_path / "backups").mkdir()
    manage(
        world, world.environment["DATABASE_URL"], "backup", str(tmp_path / "backups")
    )
    [backup] = (tmp_path / "backups").iterdir()
    change_after_the_backup(world, company, parts)
    world.deliveries.run(company.pk)  # what is sent between the backup and the restore
    sent_once = accepted(world)
    assert len(sent_once) == SENT_BEFORE + UNTOUCHED + 1

    url = behind_proxy(world, other_url)
    log_file = tmp_path / "privacy.log"
    log_file.write_text(world.log("web") + written(log))
    said = manage(world, url, "restore", str(backup), "--privacy-log", str(log_file))
    counts = dict(re.findall(r"^(\w[\w ]+?) +([1-9]\d*)$", said, re.MULTILINE))
    world.start_worker(DATABASE_URL=url)
    wait_for_sweeps(other_url)

    assert accepted(world) == sent_once  # nothing, not even the test event
    assert {name: int(count) for name, count in counts.items()} == {
        "people erased": ERASURES, "leads deleted": DELETIONS, "people opted out": OPT_OUTS,
        "conversion events cancelled": CANCELLATIONS,
    }  # fmt: skip
    assert rows(other_url, "SELECT is_paused, paused_reason FROM capi_connection") == [
        (True, "all_paused")
    ]
    assert rows(
        other_url,
        "SELECT count(*), sum(attempts) FROM capi_conversionevent WHERE state = 'pending'",
    ) == [(UNTOUCHED + 1, 0)]

    manage(world, url, "resume_sending")
    pending = "SELECT count(*) FROM capi_conversionevent WHERE state = 'pending'"
    wait_for(
        lambda: rows(other_url, pending) == [(0,)],
        seconds=60,
        told="what is due is sent",
    )

    again = accepted(world)[len(sent_once) :]
    assert ended.isdisjoint(again)
    assert test_event.event_id in again
    assert len(again) == len(set(again)) == UNTOUCHED + 1
    assert set(again) <= set(sent_once)
    assert rows(
        other_url,
        "SELECT state, count(*) FROM capi_conversionevent GROUP BY state ORDER BY state",
    ) == [
        ("accepted", SENT_BEFORE + UNTOUCHED + 1),
        ("cancelled", ERASURES + CANCELLATIONS + DELETIONS),
        ("skipped", OPT_OUTS),
    ]
    assert world.complaints("All sending is paused") == []


@pytest.mark.timeout(600)
def test_into_the_same_database_below_a_worker_that_runs(
    world: World, log: Any, tmp_path: Path
) -> None:
    company = world.connect()
    make_leads(company, UNTOUCHED)
    url = world.database_server.url(port=world.database.port)
    connection.close()
    backups.dump(url, tmp_path / "dump")
    world.start_worker()
    world.wait_for_the_end(seconds=60)
    assert Heartbeat.objects.exists()
    sent_once = accepted(world)
    assert len(sent_once) == UNTOUCHED
    Lead.objects.update(share_with_ad_platforms=False)
    connection.close()

    backups.restore(tmp_path / "dump", url, "--clean", "--if-exists")
    all_paused = Connection.objects.filter(paused_reason="all_paused")
    wait_for(all_paused.exists, seconds=60, told="the worker notices")
    wait_for_sweeps(url)

    assert ConversionEvent.objects.filter(state="pending").count() == UNTOUCHED
    assert accepted(world) == sent_once
    manage(world, url, "repeat_privacy_changes", given=written(log))
    manage(world, url, "resume_sending")
    wait_for_sweeps(url)
    assert accepted(world) == sent_once
    assert set(ConversionEvent.objects.values_list("state", flat=True)) == {"skipped"}
