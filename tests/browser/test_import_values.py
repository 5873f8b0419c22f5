"""The values of a file in a real browser: mapped by the keyboard, on a phone and a desk, in both themes."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from crm.models import Lead, LeadImport, LeadStatus, Membership, Tag
from tests.browser.looks import SIZES, assert_fit_to_use, open_page
from tests.conftest import sign_in
from tests.crm.custom_values import make_field
from tests.crm.data_exchange.importing.uploading import upload, work_on

pytestmark = pytest.mark.django_db(transaction=True)

LONG = "A very long value that someone has typed into a cell, " * 3
TEXT = f"""First name\tStatus\tOwner\tTags\tRegion
Inés\tHeiß\tStranger\tDACH; k.A.\tMars
Tom\tHeiß\t\tMesse Berlin\t{LONG}
Ada\tQuali-fied\t\tdach\tEMEA
Ida\tTEST\t\t\t
"""


@pytest.fixture
def checked(admin: Membership) -> LeadImport:
    make_field(admin.company, "Region", "choice")
    Tag.objects.create(company=admin.company, name="DACH")
    return upload(admin, TEXT, "webinar-november.csv")


def choose(page: Page, value: str, *keys: str) -> None:
    """Choose an option by the keyboard."""
    select = page.get_by_label(f"{value} here", exact=True)
    select.focus()
    for key in keys:
        page.keyboard.press(key)


@pytest.mark.parametrize("size", SIZES)
def test_values_are_mapped_by_the_keyboard(
    page: Page, admin: Membership, checked: LeadImport, size: str
) -> None:
    sign_in(page, admin)
    open_page(page, checked.get_absolute_url(), size)
    expect(page.get_by_label("Heiß here", exact=True)).to_have_value("empty")

    choose(page, "Heiß", "C", "r", "ArrowDown")  # from its first meaning to “Working”
    choose(page, "TEST", "End")
    choose(page, "k.A.", "End", "ArrowUp")
    page.get_by_role("button", name="Check again").press("Enter")

    expect(page.get_by_label("Heiß here", exact=True)).to_have_value("create:working")
    expect(page.get_by_text("1 status is added to your list.")).to_be_visible()
    expect(page.get_by_text("3 leads are added")).to_be_visible()
    page.get_by_role("button", name="Start import").press("Enter")
    expect(page.get_by_role("heading", name="Importing…")).to_be_visible()
    work_on(checked)
    assert [lead.status.name for lead in Lead.objects.order_by("pk")] == [
        "Heiß",
        "Heiß",
        "Qualified",
    ]
    assert LeadStatus.objects.get(name="Heiß").meaning == "working"
    assert set(Tag.objects.values_list("name", flat=True)) == {"DACH", "Messe Berlin"}


@pytest.mark.parametrize("size", SIZES)
def test_the_table_has_no_finding_and_does_not_scroll_sideways(
    page: Page, admin: Membership, checked: LeadImport, size: Any
) -> None:
    sign_in(page, admin)
    open_page(page, checked.get_absolute_url(), size)

    assert_fit_to_use(page)
