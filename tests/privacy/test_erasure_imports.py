"""An erasure reaches the rows of imports, whatever has become of them, and files that nobody has read yet."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from crm.models import ImportState, Lead, LeadImportFile, LeadImportRow, Membership
from crm.services import lead_imports
from crm.services.erasure import erase_lead
from tests.crm.importing.uploading import HEADER, PEOPLE, names, run, upload, work_on

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
