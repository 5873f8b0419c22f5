"""S42: the space of a company: its files, uploads, import rows and exports count against one limit."""

import random
from collections.abc import Callable
from datetime import timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connections
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from crm.data_exchange.exporting import list_rows
from crm.jobs import rounds
from crm.models import (
    DataExport,
    ExportPart,
    IntakeSource,
    LeadImport,
    LeadImportFile,
    LeadImportRow,
    Membership,
)
from crm.models.roles import Role
from crm.models.space import NoRoom, space_of
from crm.services import data_exports, lead_imports, rate_limits
from crm.services.intake_sources import add_source
from crm.services.payloads import store_payload
from tests.conftest import join, make_lead, make_note
from tests.crm.api.calling import caller
from tests.crm.data_exchange.exporting.reading import ask
from tests.crm.data_exchange.importing.spreadsheet_files import text_row, xlsx
from tests.crm.data_exchange.importing.uploading import PEOPLE, run, upload
from tests.crm.files import make_file, names_stored
from tests.crm.files import upload as file_of

pytestmark = [pytest.mark.django_db, pytest.mark.covers("S42")]

MB = 2**20
FULL = "Nothing was uploaded: there is no room left for this. Your company uses "


@pytest.fixture(autouse=True)
def _one_mb(settings: Any) -> None:
    settings.FILES_MB_PER_COMPANY = 1


@pytest.fixture
def client(client_as: Callable[[Membership], Client], sales: Membership) -> Client:
    return client_as(sales)


def list_of(size: int) -> SimpleUploadedFile:
    return SimpleUploadedFile("leads.csv", PEOPLE.encode().ljust(size))


def store(member: Membership, size: int) -> LeadImport:
    return lead_imports.store(
        company=member.company, file=list_of(size), actor=member.user
    )


def fill(member: Membership, size: int = 900_000) -> None:
    make_file(member, make_lead(member.company), content=b"x" * size)


def test_files_unread_lists_rows_and_exports_share_one_space(
    sales: Membership, client: Client
) -> None:
    fill(sales, 1_000)
    store(sales, 2_000)
    source = IntakeSource(company=sales.company, name="Form")
    add_source(source=source)
    store_payload(source=source, body=b"x" * 700, content_type="", sender_id="")
    checked, made = upload(sales, PEOPLE), ask(client)

    space = space_of(sales.company_id)

    text = sum(len(cell) for row in LeadImportRow.objects.all() for cell in row.cells)
    parts = sum(len(part.content) for part in ExportPart.objects.all())
    assert checked.row_bytes == 3 * 180 + text
    assert made.stored > parts > 0
    assert (space.files, space.imports, space.exports) == (
        1_000,
        4_000 + checked.size + checked.row_bytes,
        made.stored,
    )
    assert space.payloads == 700
    assert space.left == MB - space.used


def test_a_spreadsheet_counts_as_it_is_kept(sales: Membership, client: Client) -> None:
    make_lead(sales.company)

    made = ask(client, format="xlsx")

    selection = len(made.selection.keys)
    assert (
        0
        < made.stored - selection
        <= sum(len(part.content) for part in ExportPart.objects.all())
    )


def test_what_is_no_longer_kept_does_not_count(
    sales: Membership, client: Client
) -> None:
    make_lead(sales.company)
    run(upload(sales, PEOPLE), sales)
    upload(sales, PEOPLE)
    ask(client)
    week, day = Now() - timedelta(days=7), Now() - timedelta(days=1)

    LeadImport.objects.filter(started_at__isnull=False).update(finished_at=week)
    LeadImport.objects.filter(started_at=None).update(created_at=day)
    DataExport.objects.update(finished_at=day)

    assert space_of(sales.company_id).used == 0


def test_a_file_that_can_not_be_read_takes_no_space(sales: Membership) -> None:
    failed = upload(sales, b"\xd0\xcf\x11\xe0 an old Excel file")

    assert (failed.state, space_of(sales.company_id).used) == ("failed", 0)


@pytest.mark.parametrize("size", [600_000, 300_000])
def test_a_list_for_which_there_is_no_room_is_refused_before_anything_is_written(
    client: Client, sales: Membership, other_company: Any, size: int
) -> None:
    fill(sales, max(1, MB - 2 * size + 1))
    stranger = join(other_company, Role.SALES, email="sales@contoso.example")

    page = client.post(
        reverse("lead_imports"), {"file": list_of(size)}
    ).content.decode()
    answer = caller(sales.company, "sales").post(
        "/api/v1/imports/", {"file": list_of(size)}, format="multipart"
    )

    assert FULL.replace("'", "&#x27;") in page
    assert (answer.status_code, answer.json()["detail"].startswith(FULL)) == (409, True)
    assert not LeadImport.objects.exists()
    store(stranger, size if size < 500_000 else 1_000)


def test_a_file_for_which_there_is_no_room_is_refused_with_the_lists_counted(
    client: Client, sales: Membership
) -> None:
    lead, key = make_lead(sales.company), caller(sales.company, "sales")
    store(sales, 500_000)

    client.post(
        reverse("lead_files", args=[lead.pk]), {"file": file_of(content=b"x" * 90_000)}
    )
    page = client.get(lead.get_absolute_url()).content.decode()
    sent = {"file": file_of(content=b"x" * 90_000), "lead": lead.pk}
    answer = key.post("/api/v1/files/", sent, format="multipart")

    assert FULL.replace("'", "&#x27;") in page
    assert (answer.status_code, answer.json()["detail"].startswith(FULL)) == (409, True)
    assert names_stored() == set()


def test_a_small_file_that_unfolds_beyond_the_limit_leaves_no_rows(
    sales: Membership,
) -> None:
    rows = [text_row(number, f"Ada {number}", "x" * 15_000) for number in range(2, 100)]
    workbook = xlsx(text_row(1, "First name", "Phone") + "".join(rows))

    failed = upload(sales, workbook, name="leads.xlsx")

    assert len(workbook) < 50_000
    assert (failed.state, failed.row_count, failed.row_bytes) == ("failed", 0, 0)
    assert failed.problem.startswith(
        "Nothing was imported: there is no room left for this."
    )
    assert not LeadImportRow.objects.exists()
    assert not LeadImportFile.objects.exists()


def test_a_full_company_exports_nothing_until_it_has_room(
    client: Client, sales: Membership
) -> None:
    lead, key = make_lead(sales.company), caller(sales.company, "sales")
    make_file(sales, lead, content=b"x" * MB)

    page = client.post(
        reverse("lead_export"), {"format": "csv", "columns": "all"}, follow=True
    ).content.decode()
    answer = key.post("/api/v1/exports/", {"kind": "leads", "format": "csv"})

    assert "Nothing was exported: there is no room left for this." in page
    assert (answer.status_code, "no room left" in answer.json()["detail"]) == (
        409,
        True,
    )
    assert not DataExport.objects.exists()


def test_an_export_that_fills_the_space_ends_and_keeps_nothing(
    client: Client, sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_rows, "CHUNK", 2)
    monkeypatch.setattr(data_exports, "CHUNKS_AT_ONCE", 0)
    noise = random.Random(0)
    for _ in range(8):
        make_lead(
            sales.company,
            notes="".join(chr(noise.randrange(0x4E00, 0x9000)) for _ in range(5_000)),
        )
    fill(sales, MB - 50_000)

    made = ask(client, columns="all")
    rounds.work_through(lambda: True)

    made.refresh_from_db()
    assert (made.state, made.reached < made.row_count) == ("failed", True)
    assert made.problem.startswith(
        "Nothing was exported: there is no room left for this."
    )
    assert not ExportPart.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_uploads_at_once_can_not_exceed_the_limit_together(
    sales: Membership,
) -> None:
    both_are_here, refused = Barrier(2, timeout=60), []

    def add() -> None:
        both_are_here.wait()
        try:
            store(sales, 300_000)
        except NoRoom:
            refused.append(True)
        finally:
            connections.close_all()

    threads = [Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (refused, LeadImport.objects.count()) == ([True], 1)


def test_a_list_that_no_one_has_started_for_a_day_is_not_started(
    sales: Membership,
) -> None:
    ready = upload(sales, PEOPLE)
    LeadImport.objects.update(created_at=Now() - timedelta(days=1, minutes=1))

    with pytest.raises(ValidationError, match="more than a day ago"):
        lead_imports.start(
            lead_import=ready, owner=None, tells_platforms=False, actor=sales.user
        )
    answer = caller(sales.company, "sales").post(
        f"/api/v1/imports/{ready.pk}/start/", {}
    )

    assert (answer.status_code, LeadImport.objects.get().state) == (409, "paused")


def test_the_pages_say_how_much_is_left(
    client_as: Callable[[Membership], Client], admin: Membership
) -> None:
    client, lead = client_as(admin), make_lead(admin.company)
    make_file(admin, lead, content=b"x" * (MB // 2))
    note = make_note(admin, lead)

    pages = [
        client.get(url).content.decode()
        for url in ("/leads/import/", "/leads/export/", "/exports/")
    ]
    forms = [
        client.get(url).content.decode()
        for url in (lead.get_absolute_url(), f"/notes/{note.pk}/files/")
    ]
    company = client.get("/company/").content.decode()

    left = (
        "Your company has 512.0\xa0KB of 1.0\xa0MB left for files, imports and exports."
    )
    assert [left in page for page in pages] == [True] * 3
    assert ["Up to 25 MB at a time. 512.0\xa0KB left." in form for form in forms] == [
        True
    ] * 2
    assert "512.0\xa0KB of 1.0\xa0MB used." in company


def test_a_company_uploads_and_exports_only_so_often_in_an_hour(
    client_as: Callable[[Membership], Client],
    sales: Membership,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_lead(sales.company)
    settings.IMPORTS_PER_HOUR = settings.EXPORTS_PER_HOUR = 2
    key, sent = caller(sales.company, "sales"), {"kind": "leads", "format": "csv"}
    for minute in range(3):
        now = 1_800_000_000.0 + 60 * minute
        monkeypatch.setattr(rate_limits.time, "time", lambda now=now: now)
        imports = key.post(
            "/api/v1/imports/", {"file": list_of(1_000)}, format="multipart"
        )
        exports = key.post("/api/v1/exports/", sent)

    page = (
        client_as(sales)
        .post(reverse("lead_imports"), {"file": list_of(1_000)})
        .content.decode()
    )

    waits = [
        (answer.status_code, answer["Retry-After"]) for answer in (imports, exports)
    ]
    assert waits == [(429, str(3600 - 120))] * 2
    assert (
        "Your company may do this 2 times an hour. Wait an hour, then try again."
        in page
    )
    assert (LeadImport.objects.count(), DataExport.objects.count()) == (2, 2)
