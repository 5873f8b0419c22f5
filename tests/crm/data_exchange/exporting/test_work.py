"""The work on exports, by any number of workers, any of which may die at any moment."""

import gc
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext

from crm.data_exchange.exporting import list_rows, spreadsheets, work
from crm.jobs import rounds, runner
from crm.models import DataExport, Deal, ExportPart, Lead, Membership, Tag
from crm.models.tag import add_links
from crm.services import data_exports
from tests.conftest import make_deal, make_lead
from tests.crm.data_exchange.exporting.reading import ask, content, rows
from tests.crm.statement_timeouts import take_too_long

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(BaseException):
    """Ends a worker in the middle of its work, as SIGKILL does."""


@pytest.fixture
def client(client_as: Callable[[Membership], Client], sales: Membership) -> Client:
    return client_as(sales)


@pytest.fixture
def made(
    client: Client, sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> DataExport:
    """An export of five leads in three chunks, with none written yet."""
    monkeypatch.setattr(list_rows, "CHUNK", 2)
    monkeypatch.setattr(data_exports, "CHUNKS_AT_ONCE", 0)
    for number in range(5):
        make_lead(sales.company, first_name=f"P{number}")
    return ask(client, query="?sort=name")


def killed_once(monkeypatch: pytest.MonkeyPatch, where: Any, name: str) -> None:
    """Lets the first call of this function do its work, and die right after."""
    does_its_work = getattr(where, name)

    def dying(*args: Any) -> None:
        monkeypatch.setattr(where, name, does_its_work)
        does_its_work(*args)
        raise Killed

    monkeypatch.setattr(where, name, dying)


def test_a_worker_that_dies_in_a_chunk_leaves_nothing_of_it_and_another_goes_on(
    client: Client, made: DataExport, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.advance(made.pk)
    killed_once(monkeypatch, work, "_write")
    with pytest.raises(Killed):
        work.advance(made.pk)
    assert ExportPart.objects.count() == 1

    rounds.work_through(lambda: True)

    assert [row[0] for row in rows(client, made)[1:]] == ["P0", "P1", "P2", "P3", "P4"]


def test_an_export_that_reaches_the_time_limit_each_time_ends_without_a_file(
    made: DataExport, monkeypatch: pytest.MonkeyPatch
) -> None:
    work.advance(made.pk)
    monkeypatch.setattr(list_rows, "next_rows", take_too_long)
    for _ in range(runner.TRIES - 1):
        assert not work.advance(made.pk)
    made.refresh_from_db()
    assert (made.state, made.timeouts) == ("running", runner.TRIES - 1)

    assert not work.advance(made.pk)

    made.refresh_from_db()
    assert (made.state, made.problem) == ("failed", runner.TOO_SLOW)
    assert not ExportPart.objects.exists()
    assert not work.advance(made.pk)


def test_a_chunk_in_time_begins_the_count_again(
    client: Client, made: DataExport, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = list_rows.next_rows
    for _ in range(3):
        monkeypatch.setattr(list_rows, "next_rows", take_too_long)
        for _ in range(runner.TRIES - 1):
            assert not work.advance(made.pk)
        monkeypatch.setattr(list_rows, "next_rows", reads)
        assert work.advance(made.pk)
    rounds.work_through(lambda: True)

    assert [row[0] for row in rows(client, made)[1:]] == ["P0", "P1", "P2", "P3", "P4"]


def test_a_worker_that_dies_while_it_packs_is_followed_by_another_once_its_lease_has_ended(
    client: Client, made: DataExport, monkeypatch: pytest.MonkeyPatch
) -> None:
    DataExport.objects.update(format="xlsx")
    for _ in range(3):
        work.advance(made.pk)
    killed_once(monkeypatch, spreadsheets, "_write_workbook")
    with pytest.raises(Killed):
        work.advance(made.pk)

    assert work.advance(made.pk) is False
    DataExport.objects.update(packed_until=Now() - timedelta(seconds=1))
    assert work.advance(made.pk) is True

    made.refresh_from_db()
    assert made.state == "done"
    assert content(client, made).startswith(b"PK")


def test_two_workers_write_no_chunk_twice(client: Client, made: DataExport) -> None:

    def worker() -> None:
        try:
            for _ in range(20):
                work.advance(made.pk)
        finally:
            connection.close()

    workers = [threading.Thread(target=worker) for _ in range(3)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    rounds.work_through(lambda: True)

    assert [row[0] for row in rows(client, made)[1:]] == ["P0", "P1", "P2", "P3", "P4"]
    assert ExportPart.objects.count() == 3


@pytest.mark.parametrize("page", ["lead_export", "deal_export"])
def test_a_chunk_of_many_rows_takes_as_many_queries_as_one_of_a_few(
    client: Client, sales: Membership, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    monkeypatch.setattr(data_exports, "CHUNKS_AT_ONCE", 0)
    tag = Tag.objects.create(company=sales.company, name="VIP")

    def queries(rows: int) -> int:
        for _ in range(rows):
            deal = make_deal(
                make_lead(sales.company, owner=sales.user), owner=sales.user
            )
            add_links(Lead, sales.company.pk, [(deal.lead_id, tag)])
            add_links(Deal, sales.company.pk, [(deal.pk, tag)])
        made = ask(client, page, columns="all")
        with CaptureQueriesContext(connection) as captured:
            assert work.advance(made.pk)
        return len(captured)

    assert queries(1) == queries(5)


@pytest.mark.parametrize("page", ["lead_export", "deal_export"])
def test_the_rows_of_a_chunk_are_freed_without_a_garbage_collection(
    client: Client, sales: Membership, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    """A worker collects garbage rarely, and would keep the rows of dozens of chunks until then."""
    monkeypatch.setattr(data_exports, "CHUNKS_AT_ONCE", 0)
    monkeypatch.setattr(list_rows, "CHUNK", 20)
    tag = Tag.objects.create(company=sales.company, name="VIP")
    for _ in range(40):
        deal = make_deal(make_lead(sales.company, owner=sales.user), owner=sales.user)
        add_links(Lead, sales.company.pk, [(deal.lead_id, tag)])
        add_links(Deal, sales.company.pk, [(deal.pk, tag)])
    made = ask(client, page, columns="all")
    work.advance(made.pk)  # what is loaded once, and kept
    gc.collect()
    gc.disable()
    # Keeps what it finds, so the rows can be told from what others leave behind.
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        assert work.advance(made.pk)
        gc.collect()
        left = [found for found in gc.garbage if isinstance(found, Lead | Deal)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()

    assert left == []


def test_a_save_of_a_lead_waits_for_no_chunk(
    made: DataExport, sales: Membership
) -> None:
    """A chunk locks the company's row, to which every lead refers."""
    saved: list[int] = []

    def save() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '5s'")
            saved.append(make_lead(sales.company).pk)
        finally:
            connection.close()

    with transaction.atomic():
        work.advance(made.pk)
        thread = threading.Thread(target=save)
        thread.start()
        thread.join()

    assert len(saved) == 1
