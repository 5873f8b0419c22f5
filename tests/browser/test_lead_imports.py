"""An import in a real browser: from the file to its undo by the keyboard, and no finding of axe in any state."""

from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from crm.models import Deal, Lead, LeadImport, Membership, Task
from crm.services import lead_imports
from tests.browser.looks import SIZES, assert_fit_to_use, open_page
from tests.conftest import make_lead, sign_in
from tests.crm.custom_values import make_field
from tests.crm.data_exchange.importing.uploading import HEADER, upload, work_on

pytestmark = pytest.mark.django_db(transaction=True)

UPLOAD = reverse("lead_imports")
DIRTY = f"""{HEADER},Campaign,Ref
Ines,Moreau,ines@harbour.example,+31 6 1111 1111,Harbour Freight,Head of Fleet,Webinar,A-20418
Tomas,Berg,t.berg@fjord.example,,Fjord Foods,Buyer,,A-20419
Ada,Smit,ada@example.com,,Orchard Retail,IT Director,,
Jonas,Weber,jonas.weber@,,Alpen Bank,Analyst,,
,,noor@tulip.example,,Tulip Media,Founder,,
Tomas,Berg,t.berg@fjord.example,,Fjord Foods,Buyer,,
"""


@pytest.mark.thorough
@pytest.mark.parametrize("size", SIZES)
def test_no_page_has_a_finding(
    page: Page, sales: Membership, make_rule: Any, token: Any, size: Any
) -> None:
    make_rule("lead_created", name="Lead form sent")
    make_lead(sales.company)
    sign_in(page, sales)
    checked = upload(sales, DIRTY, "webinar-november.csv")
    running, failed = upload(sales, DIRTY), upload(sales, "%PDF-1.7")
    lead_imports.start(
        lead_import=running, owner=None, tells_platforms=False, actor=sales.user
    )
    for address in (
        UPLOAD,
        *(each.get_absolute_url() for each in (checked, running, failed)),
    ):
        open_page(page, address, size)
        assert_fit_to_use(page)
    done = work_on(running)
    open_page(page, done.get_absolute_url(), size)
    assert_fit_to_use(page)
    lead_imports.undo(lead_import=done, actor=sales.user)
    work_on(done)
    open_page(page, done.get_absolute_url(), size)
    assert_fit_to_use(page)


def test_from_the_file_to_the_undo_by_the_keyboard(
    page: Page, sales: Membership, tmp_path: Path
) -> None:
    (tmp_path / "webinar.csv").write_text(DIRTY)
    sign_in(page, sales)
    open_page(page, reverse("leads"))

    press(page, "link", "Import")
    page.get_by_label("File", exact=True).set_input_files(tmp_path / "webinar.csv")
    press(page, "button", "Upload and check")
    select = page.get_by_label("Ref A-20418, A-20419")
    select.focus()
    select.press("B")  # of Background
    press(page, "button", "Check again")
    expect(page.get_by_label("Ref A-20418, A-20419")).to_have_value("notes")
    expect(page.get_by_text("4 leads are added, 0 updated.")).to_be_visible()
    press(page, "button", "Start import")
    expect(page.get_by_role("heading", name="Importing…")).to_be_visible()
    work_on(LeadImport.objects.get())
    expect(page.get_by_role("heading", name="Import finished")).to_be_visible()
    assert Lead.objects.get(first_name="Ines").notes == "A-20418"
    press(page, "button", "Undo this import")
    expect(page.get_by_role("heading", name="Being undone…")).to_be_visible()
    work_on(LeadImport.objects.get())
    expect(page.get_by_text("4 new leads were removed")).to_be_visible()
    assert not Lead.objects.exists()


UNCLEAR = """First name;Budget;Places;Since;Status;Tags
In\u00e9s;1.200;1.234,5;27.11.26;Hot;VIP
Tom;3.500;1,500;03.11.26;New;Fair
Ada;950;7;03.11.26;;
"""


@pytest.fixture
def unclear(sales: Membership) -> LeadImport:
    for name, kind in (("Budget", "number"), ("Places", "number"), ("Since", "date")):
        make_field(sales.company, name, kind)
    return upload(sales, UNCLEAR.encode("cp1252"), "budgets.csv")


def test_a_column_that_can_be_read_in_two_ways_is_asked_about_and_then_imported(
    page: Page, sales: Membership, unclear: LeadImport
) -> None:
    sign_in(page, sales)
    open_page(page, unclear.get_absolute_url())
    start = page.get_by_role("button", name="Start import")
    expect(start).to_be_disabled()
    expect(page.get_by_text("1 answer missing")).to_be_visible()
    expect(page.get_by_role("radio", name="Comma")).not_to_be_checked()

    page.get_by_role("radio", name="Comma").check()
    press(page, "button", "Check again")
    expect(page.get_by_text("1 answer missing")).to_have_count(0)
    expect(page.get_by_text("Row 3: 1,500")).to_be_visible()
    start.click()
    expect(page.get_by_role("heading", name="Importing\u2026")).to_be_visible()
    work_on(unclear)

    expect(page.get_by_role("heading", name="Import finished")).to_be_visible()
    values = [lead.custom for lead in Lead.objects.order_by("pk")]
    assert [value["budget"] for value in values] == ["1200", "3500", "950"]
    assert [value["places"] for value in values] == ["1234.5", "1.5", "7"]


@pytest.mark.thorough
@pytest.mark.parametrize("size", SIZES)
def test_no_page_of_questions_and_cells_has_a_finding(
    page: Page, sales: Membership, unclear: LeadImport, size: Any
) -> None:
    sign_in(page, sales)
    for address in (
        unclear.get_absolute_url(),
        reverse("lead_import_format", args=[unclear.pk]),
        reverse("lead_import_cells", args=[unclear.pk]),
    ):
        open_page(page, address, size)
        assert_fit_to_use(page)


def press(page: Page, role: Any, name: str) -> None:
    page.get_by_role(role, name=name, exact=True).press("Enter")


def test_deals_are_imported_and_undone_by_the_keyboard(
    page: Page, sales: Membership, tmp_path: Path
) -> None:
    make_lead(sales.company, email="ines@harbour.example")
    (tmp_path / "pipeline.csv").write_text(
        "Deal,E-mail,Amount,Stage\nFleet,ines@harbour.example,1200,Proposal\nVans,eve@harbour.example,5,\n"
    )
    sign_in(page, sales)
    open_page(page, UPLOAD)

    page.get_by_label("File", exact=True).set_input_files(tmp_path / "pipeline.csv")
    press(page, "button", "Upload and check")
    expect(page.get_by_label("This file holds")).to_have_value("deal")
    expect(page.get_by_text("1 deal is added, 0 updated.")).to_be_visible()
    expect(
        page.get_by_text("No lead has this number, address or name").first
    ).to_be_visible()
    assert_fit_to_use(page)
    press(page, "button", "Start import")
    expect(page.get_by_role("heading", name="Importing…")).to_be_visible()
    work_on(LeadImport.objects.get())
    expect(page.get_by_role("heading", name="Import finished")).to_be_visible()
    assert Deal.objects.get().title == "Fleet"
    press(page, "button", "Undo this import")
    expect(page.get_by_role("heading", name="Being undone…")).to_be_visible()
    work_on(LeadImport.objects.get())
    expect(page.get_by_text("1 new deal was removed")).to_be_visible()
    assert not Deal.objects.exists()


def test_tasks_are_imported_by_the_keyboard(
    page: Page, sales: Membership, tmp_path: Path
) -> None:
    make_lead(sales.company, email="ines@harbour.example")
    (tmp_path / "to-do.csv").write_text(
        "Task,Due,Type,E-mail,Deal\nCall,2027-01-31,Anruf,ines@harbour.example,\nMeet,2027-01-31,,,Fleet\n"
    )
    sign_in(page, sales)
    open_page(page, UPLOAD)

    page.get_by_label("File", exact=True).set_input_files(tmp_path / "to-do.csv")
    press(page, "button", "Upload and check")
    expect(page.get_by_label("This file holds")).to_have_value("task")
    expect(page.get_by_text("1 task is added, 0 updated.")).to_be_visible()
    expect(page.get_by_text("No deal has this number or title").first).to_be_visible()
    assert_fit_to_use(page)
    press(page, "button", "Start import")
    expect(page.get_by_role("heading", name="Importing…")).to_be_visible()
    work_on(LeadImport.objects.get())
    expect(page.get_by_role("heading", name="Import finished")).to_be_visible()
    assert_fit_to_use(page)
    assert Task.objects.get().kind == "call"
    press(page, "button", "Undo this import")
    expect(page.get_by_text("undoing continues")).to_be_visible()
    work_on(LeadImport.objects.get())
    expect(page.get_by_text("1 new task was removed")).to_be_visible()
    assert not Task.objects.exists()
