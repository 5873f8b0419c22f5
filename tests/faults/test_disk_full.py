"""No room left on the disk of the database (F28)."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from crm.models import Lead
from crm.views import errors
from postgresql.availability import Unavailable
from tests.faults import figures
from tests.faults.processes import wait_for
from tests.faults.test_broker_and_database import needs_own_database
from tests.faults.world import ABOUT_TIMERS, Allowed, Api, make_leads

pytestmark = pytest.mark.faults

TABLES = (
    "crm_lead",
    "crm_crmevent",
    "capi_connection",
    "capi_conversionevent",
    "capi_attempt",
)
OUTAGE = errors.OUTAGES[Unavailable.NO_SPACE]
NO_SPACE = 503, {"detail": f"{OUTAGE.what} {errors.NOTHING_SAVED} {OUTAGE.what_to_do}"}
ABOUT_SPACE = (
    r"DiskFull|No space left|could not extend file|Service Unavailable|Internal Server Error|OperationalError"
    rf"|{ABOUT_TIMERS}"
)


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of a few megabytes of its own."""
    folder = Path(tempfile.mkdtemp(prefix="leadmachine-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs", str(folder)],
        check=False,
    )
    if mounted.returncode != 0:
        folder.rmdir()
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
    folder.rmdir()


@contextmanager
def filled(folder: Path) -> Iterator[Callable[[], None]]:
    """Fill the disk. Yields a function that fills what has been freed since: files come and go."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:

        def fill() -> None:
            with suppress(OSError):
                while True:
                    file.write(bytes(4096))

        fill()
        yield fill
    filler.unlink()


def save_meanwhile(
    api: Api, numbers: range, fill: Callable[[], None], *, refusal: tuple[int, Any]
) -> list[int]:
    """Save on the full disk. Returns the statuses: some saves find room inside a file, the rest get this refusal."""
    answers = []
    for number in numbers:
        fill()
        answers.append(
            api.add_lead({"first_name": "Ada", "email": f"lead{number}@example.com"})
        )
    refusals = [answer for answer in answers if answer.status_code != 201]
    assert [(answer.status_code, answer.json()) for answer in refusals] == [
        refusal
    ] * len(refusals)
    return [answer.status_code for answer in answers]


@needs_own_database
@pytest.mark.representative
@pytest.mark.django_db(transaction=True)
@pytest.mark.covers("F28")
def test_a_postgresql_without_room_refuses_writes_and_all_goes_on_once_there_is_some(
    small_disk, world
) -> None:
    world.start_web()
    world.start_worker()
    world.wait_for_worker()
    company = world.connect()
    api = world.api(company)
    with tables_on(small_disk, world):
        before = api.save_lead(0)[0]
        world.wait_for_the_end()
        with filled(small_disk) as fill:
            meanwhile = save_meanwhile(api, range(1, 400), fill, refusal=NO_SPACE)
            sent = len(world.ledger.entries())
        make_leads(company, 100, start=1_000)
        after = api.save_lead(400)[0]

        world.wait_for_the_end()

        assert (before, after) == (201, 201)
        assert 503 in meanwhile
        assert Lead.objects.count() == 102 + meanwhile.count(201)
        assert world.broken(Allowed(hidden_answers=sent), explained=ABOUT_SPACE) == []
    figures.count("full disks")


@contextmanager
def tables_on(folder: Path, world) -> Iterator[None]:
    """The tables that grow live on this disk meanwhile."""
    place = folder / "tables"
    place.mkdir(mode=0o700)
    owner = world.database_server._server.data.stat()
    os.chown(place, owner.st_uid, owner.st_gid)
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLESPACE small_disk LOCATION '{place}'")
        move(cursor, "small_disk")
        for table in TABLES:
            # The rows of earlier tests have left room in them.
            cursor.execute(f"VACUUM FULL {table}")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            move(cursor, "pg_default")
            wait_for(
                lambda: dropped(cursor),
                seconds=10,
                told="nothing is left on the small disk",
            )
        shutil.rmtree(place)


def move(cursor, tablespace: str) -> None:
    for table in TABLES:
        cursor.execute(f"ALTER TABLE {table} SET TABLESPACE {tablespace}")


def dropped(cursor) -> bool:
    cursor.execute("CHECKPOINT")  # until then files of dropped tables stay
    cursor.execute("DROP TABLESPACE small_disk")
    return True
