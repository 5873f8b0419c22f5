"""Custom fields in the browser: a field with choices from its form to the page of a lead, by the keyboard alone."""

import pytest
from playwright.sync_api import Page, expect

from crm.models import CustomField, Lead, Membership
from tests.browser.looks import assert_fit_to_use_in_each_look
from tests.conftest import make_deal, make_lead, sign_in
from tests.crm.custom_values import make_every_field, make_field

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/company/custom-fields/"


def press(page: Page, role: str, name: str) -> None:
    page.get_by_role(role, name=name, exact=True).focus()  # type: ignore[arg-type]
    page.keyboard.press("Enter")


def test_a_field_is_added_moved_and_filled_in_by_the_keyboard(
    page: Page, admin: Membership
) -> None:
    make_field(admin.company, "Seats", "number")
    lead = make_lead(admin.company)
    sign_in(page, admin)
    page.goto(page.server_url + URL)
    press(page, "link", "Add a field for leads")

    page.get_by_label("Name").fill("Region")
    expect(page.get_by_role("group", name="Choices")).to_be_hidden()
    page.get_by_label("Pick one").focus()
    page.keyboard.press("Space")
    for number, label in ((1, "EMEA"), (2, "Americas")):
        page.get_by_label(f"Choice {number}", exact=True).fill(label)
    press(page, "button", "More choices")
    expect(page.get_by_label("Choice 5", exact=True)).to_be_visible()
    press(page, "button", "Move up choice 2")
    expect(page.get_by_label("Choice 1", exact=True)).to_have_value("Americas")
    press(page, "button", "Add field")
    expect(page.locator("#messages")).to_contain_text("Region was added.")
    page.get_by_role("button", name="Move Region", exact=True).focus()
    page.keyboard.press("ArrowUp")
    expect(page.locator("[data-reorder] li").first).to_contain_text("Region")
    expect(page.get_by_role("button", name="Move Region", exact=True)).to_be_focused()
    page.goto(f"{page.server_url}/leads/{lead.pk}/edit/")
    page.get_by_label("Region").select_option("Americas")
    press(page, "button", "Save")

    expect(page.get_by_text("Americas")).to_be_visible()
    assert [str(field) for field in CustomField.objects.all()] == ["Region", "Seats"]
    assert Lead.objects.get().custom == {"region": "americas"}


def test_a_field_is_dragged(page: Page, admin: Membership) -> None:
    for name in "ABC":
        make_field(admin.company, name)
    sign_in(page, admin)
    page.goto(page.server_url + URL)

    handle, place = (
        page.get_by_role("button", name=f"Move {name}", exact=True) for name in "CA"
    )

    with page.expect_response("**/step/"):
        handle.drag_to(place)

    expect(page.locator("[data-reorder] li").first).to_contain_text("C")
    assert [str(field) for field in CustomField.objects.all()] == ["C", "A", "B"]


@pytest.mark.thorough
def test_no_page_has_a_finding(page: Page, admin: Membership) -> None:
    fields = make_every_field(
        admin.company, is_listed=True, help_text="Ask for it in the first call."
    )
    make_every_field(admin.company, subject="deal")
    values = {
        "text": "x" * 200,
        "number": "123456789",
        "url": f"https://example.com/{'y' * 300}",
        "choices": ["emea"],
    }
    lead = make_lead(admin.company, custom=values)
    deal = make_deal(lead, custom=values)
    sign_in(page, admin)

    for address in (
        URL, f"{URL}new/", f"{URL}{fields['choice'].pk}/edit/", f"{URL}{fields['text'].pk}/delete/", "/leads/",
        f"/leads/{lead.pk}/", f"/leads/{lead.pk}/edit/", f"/deals/{deal.pk}/",
    ):  # fmt: skip
        page.goto(page.server_url + address)
        assert_fit_to_use_in_each_look(page)
