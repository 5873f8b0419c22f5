"""Keys: the palette that searches as you type, `c` and `?`. None of them acts while someone types in a field."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.looks import assert_fit_to_use_in_each_look
from tests.conftest import make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_lead_is_found_and_opened_by_keyboard_alone(page: Page, sales, company):
    lead = make_lead(company, first_name="Zoë", last_name="Byron", email="")
    make_lead(company, first_name="Grace")
    sign_in(page, sales)
    page.goto(page.server_url + "/deals/")

    page.keyboard.press("Control+k")
    field = page.get_by_role("combobox", name="Find leads, deals, pages and actions")
    expect(field).to_be_focused()
    expect(page.get_by_role("option", name="Add lead")).to_be_visible()
    page.keyboard.type("zoe")
    option = page.get_by_role("option", name="Zoë Byron")
    expect(option).to_have_attribute("aria-selected", "true")
    expect(page.locator("#palette-list").get_by_role("option")).to_have_count(1)
    assert field.get_attribute("aria-activedescendant") == option.get_attribute("id")
    assert_fit_to_use_in_each_look(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    page.wait_for_url(f"**{lead.get_absolute_url()}")


def test_keys_work_on_the_page_but_not_in_a_field_nor_with_a_modifier(
    page: Page, sales, company
):
    make_lead(company)
    sign_in(page, sales)
    page.goto(page.server_url + "/leads/")
    palette, keys = page.locator("#palette"), page.locator("#keys")

    page.locator("#search").press_sequentially("c/?")
    expect(page.locator("#search")).to_have_value("c/?")
    page.locator("h1").click()
    page.keyboard.press("Alt+c")
    page.keyboard.press("Control+/")
    assert page.url.partition("?")[0].endswith("/leads/")
    expect(palette).to_be_hidden()
    expect(keys).to_be_hidden()

    page.keyboard.press("?")
    expect(keys).to_be_visible()
    expect(keys).to_contain_text("Undo the last change")
    assert_fit_to_use_in_each_look(page)
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.locator("#palette-list").get_by_text("Add lead")).to_be_visible()
    page.keyboard.press("Escape")
    expect(palette).to_be_hidden()
    page.keyboard.press("c")
    page.wait_for_url("**/leads/new/")
