"""An erasure reaches the rows of imports, whatever their outcome, and files that are still unread."""

import threading
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection

from crm.data_exchange.importing import work
from crm.models import ImportState, Lead, LeadImportFile, LeadImportRow, Membership
from crm.services import erasure, lead_imports
from crm.services.erasure import erase_lead
from tests.capi.delivery.test_result_stands import somebody_waits
from tests.conftest import make_lead
from tests.crm.data_exchange.importing.uploading import HEADER, PEOPLE, names, run, upload, work_on
from tests.faults.processes import wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]

ADA = "Ada,Müller,ada@example.com,+31 6 1234 5678,Orchard,Buyer"
TRACES = ("Ada", "Müller", "ada@example.com", "5678")


def traces() -> list[str]:
    stored = repr(list(LeadImportRow.objects.values_list("cells", "filled", "key")))
    return [text for text in TRACES if text in stored]


def test_the_rows_about_a_person_are_emptied_wherever_they_are(sales: Membership) -> None:
    imported = run(upload(sales, f"{PEOPLE}{ADA}\n{ADA}\n"), sales)
    upload(sales, f"{HEADER}\n{ADA}\nAda,Müller,ada@,,,\nAda,Müller,,+31 612345678,,\n,,ADA@EXAMPLE.COM,,,\n")
    assert traces()

    erase_lead(lead=Lead.objects.get(first_name="Ada"))

    assert traces() == []
    assert LeadImportRow.objects.filter(lead_import=imported).exclude(cells=[]).count() == 3


def test_an_upload_that_was_checked_before_brings_nobody_back(sales: Membership) -> None:
    run(upload(sales, f"{HEADER}\n{ADA}\n"), sales)
    checked = upload(sales, f"{PEOPLE}{ADA}\n")

    erase_lead(lead=Lead.objects.get(first_name="Ada"))
    done = run(checked, sales)

    assert done.done["bad:erased"] == 1
    assert "Ada Müller" not in names()


def test_a_file_that_was_not_read_yet_is_dropped(sales: Membership) -> None:
    run(upload(sales, f"{HEADER}\n{ADA}\n"), sales)
    file = SimpleUploadedFile("leads.csv", ADA.encode() * 10_000)
    unread = lead_imports.upload(company=sales.company, file=file, actor=sales.user)
    assert unread.state == ImportState.READING

    erase_lead(lead=Lead.objects.get())

    assert work_on(unread).state == ImportState.FAILED
    assert "Someone was erased" in unread.problem
    assert not LeadImportFile.objects.exists()


def test_undo_leaves_an_erased_lead_as_it_is(sales: Membership) -> None:
    done = run(upload(sales, f"{PEOPLE}{ADA}\n"), sales)
    erase_lead(lead=Lead.objects.get(first_name="Ada"))

    lead_imports.undo(lead_import=done, actor=sales.user)
    work_on(done)

    assert Lead.objects.get().erased_at is not None


def test_an_import_that_waits_for_the_erasure_brings_nobody_back(
    sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite writes one transaction after the other.")
    monkeypatch.setattr(work, "CHUNK", 2)
    ada = make_lead(sales.company, last_name="Müller", title="")
    lead_import = upload(sales, f"{PEOPLE}{ADA}\n")
    assert lead_imports.start(lead_import=lead_import, owner=None, tells_platforms=False, actor=sales.user)
    finish, is_under_way = erasure._forget_in_admin_log, threading.Event()

    def finish_later(*about: Any) -> None:
        is_under_way.set()
        wait_for(somebody_waits, seconds=30, told="The import has come to wait for the lead.")
        finish(*about)

    def erase() -> None:
        erase_lead(lead=ada)
        connection.close()

    monkeypatch.setattr(erasure, "_forget_in_admin_log", finish_later)
    erasing = threading.Thread(target=erase)
    erasing.start()
    assert is_under_way.wait(30)
    done = work_on(lead_import)
    erasing.join()

    assert done.done["bad:erased"] == 1
    assert "Ada Müller" not in names()
    assert traces() == []


def test_a_check_leaves_rows_empty_that_an_erasure_has_emptied_meanwhile(
    sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_lead(sales.company, last_name="Müller", phone="")
    save_rows = work.save_rows
    checked = upload(sales, f"{HEADER}\n{ADA}\n")
    assert checked.planned["update"] == 1

    def save_later(*judged: Any) -> None:
        LeadImportRow.objects.update(cells=[], key="", filled={})  # as `forget_person` does
        save_rows(*judged)

    monkeypatch.setattr(work, "save_rows", save_later)
    lead_imports.map_columns(lead_import=checked, columns=[*checked.columns[:-1], ""])

    assert LeadImportRow.objects.values_list("cells", "key", "filled").get() == ([], "", {})
