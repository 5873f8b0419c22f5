"""An erasure reaches stored exports: finished ones are dropped, and those being written begin again without them."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from crm.data_exchange.exporting import list_rows, work
from crm.jobs import rounds
from crm.models import DataExport, ExportPart, Membership
from crm.services import data_exports
from crm.services.erasure import erase_lead
from tests.conftest import make_deal, make_lead
from tests.crm.data_exchange.exporting.reading import ask, content, rows

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def client(client_as: Callable[[Membership], Client], sales: Membership) -> Client:
    return client_as(sales)


@pytest.fixture
def _by_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(list_rows, "CHUNK", 1)
    monkeypatch.setattr(data_exports, "CHUNKS_AT_ONCE", 0)


def test_a_finished_file_is_dropped_and_its_page_says_why(
    client: Client, sales: Membership
) -> None:
    lead = make_lead(sales.company, first_name="Ada")
    make_deal(lead)
    made = [ask(client), ask(client, "deal_export")]

    erase_lead(lead=lead)

    assert not ExportPart.objects.exists()
    assert (
        "Someone who may be in this file has been erased"
        in client.get(reverse("data_exports")).content.decode()
    )
    assert [
        client.get(reverse("data_export_download", args=[each.pk])).status_code
        for each in made
    ] == [302, 302]


def test_another_companys_files_stay(
    client: Client, sales: Membership, other_company: Any
) -> None:
    make_lead(sales.company)
    made = ask(client)

    erase_lead(lead=make_lead(other_company))

    assert b"Ada" in content(client, made)


@pytest.mark.usefixtures("_by_worker")
@pytest.mark.parametrize(("file_format", "chunks"), [("csv", 2), ("xlsx", 3)])
def test_a_file_that_is_being_written_begins_again_without_the_person(
    client: Client, sales: Membership, file_format: str, chunks: int
) -> None:
    leads = [
        make_lead(sales.company, first_name=name) for name in ("Ada", "Bea", "Cid")
    ]
    made = ask(client, query="?sort=name", format=file_format)
    for _ in range(chunks):
        work.advance(made.pk)

    erase_lead(lead=leads[0])
    rounds.work_through(lambda: True)

    made.refresh_from_db()
    assert (made.state, made.restarts) == ("done", 1)
    assert b"Ada" not in b"".join(part.read() for part in ExportPart.objects.all())


@pytest.mark.usefixtures("_by_worker")
def test_a_spreadsheet_that_was_packed_meanwhile_is_not_stored(
    client: Client, sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead = make_lead(sales.company)
    make_lead(sales.company, first_name="Bea")
    made = ask(client, format="xlsx")
    for _ in range(2):
        work.advance(made.pk)
    stored = work.pack.__globals__["_store"]

    def erased_first(data_export: DataExport, file: Any) -> None:
        erase_lead(lead=lead)
        stored(data_export, file)

    monkeypatch.setitem(work.pack.__globals__, "_store", erased_first)
    work.advance(made.pk)

    made.refresh_from_db()
    assert made.state == "waiting"
    assert not ExportPart.objects.exists()


@pytest.mark.usefixtures("_by_worker")
def test_a_chunk_that_is_begun_during_an_erasure_waits_for_its_end(
    client: Client, sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise it could read the person before the erasure, and store them after."""
    lead = make_lead(sales.company)
    make_lead(sales.company, first_name="Bea")
    done: list[bool] = []
    drop_files = data_exports.drop_files

    def export_meanwhile(company_id: int) -> None:
        drop_files(company_id)
        worker = threading.Thread(target=in_another_process)
        worker.start()
        worker.join()

    def in_another_process() -> None:
        try:
            made = DataExport.objects.latest("pk")
            done.append(work.advance(made.pk))
        finally:
            connection.close()

    made = ask(client)
    monkeypatch.setattr("crm.services.data_exports.drop_files", export_meanwhile)
    erase_lead(lead=lead)
    rounds.work_through(lambda: True)

    assert True not in done
    assert [row[0] for row in rows(client, made)[1:]] == ["Bea"]
