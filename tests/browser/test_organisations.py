"""Organisations in a real browser: by keyboard, on a phone and without scripts."""

import pytest
from django.conf import settings
from playwright.sync_api import Page, expect

from crm.models import Lead
from tests.browser.looks import assert_fit_to_use_in_each_look
from tests.conftest import make_deal, make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def leads(company):
    first = make_lead(
        company,
        first_name="Zoë",
        last_name="Byron",
        organisation="Kestrel Aviation",
        title="CTO",
    )
    second = make_lead(
        company,
        first_name="Grace",
        last_name="Hopper",
        organisation="KESTREL aviation",
        email="",
    )
    make_deal(first, title="Forty licences")
    make_lead(
        company,
        first_name="Pieter",
        last_name="Dekker",
        organisation="Granite Insurance",
    )
    return first, second


def test_details_and_an_owner_are_given_by_keyboard(page: Page, sales, leads):
    sign_in(page, sales)
    page.goto(page.server_url + leads[0].organisation_url)

    page.get_by_role("link", name="Edit", exact=True).press("Enter")
    assert_fit_to_use_in_each_look(page)
    page.get_by_label("Domain").fill("kestrel.example")
    page.get_by_label("Size").select_option("11-50")
    page.get_by_role("button", name="Save").press("Enter")
    expect(page.get_by_text("The details were saved.")).to_be_visible()
    assert_fit_to_use_in_each_look(page)

    page.goto(page.server_url + "/organisations/")
    page.get_by_role("checkbox", name="Select Kestrel Aviation").press("Space")
    assert_fit_to_use_in_each_look(page)
    page.get_by_label("New owner of the selected organisations").select_option(
        str(sales.user_id)
    )
    page.get_by_role("button", name="Set owner").press("Enter")
    expect(page.get_by_text("1 organisation changed.")).to_be_visible()
    owners = page.locator("#organisations td.col-owner")
    expect(owners).to_have_text(["", str(sales.user)])


@pytest.mark.sized
def test_an_organisation_is_found_opened_and_renamed_by_keyboard_alone(
    page: Page, sales, leads
):
    sign_in(page, sales)
    page.goto(page.server_url + "/organisations/")
    assert_fit_to_use_in_each_look(page)

    page.get_by_role("searchbox", name="Search organisations").focus()
    page.keyboard.type("kest")
    expect(page.get_by_role("link", name="Granite Insurance")).to_have_count(0)
    page.get_by_role("link", name="Kestrel Aviation").press("Enter")
    expect(page.get_by_role("heading", name="Kestrel Aviation")).to_be_visible()
    expect(page.get_by_role("link", name="Grace Hopper").first).to_be_visible()
    expect(page.get_by_text("Lead created").first).to_be_visible()
    assert_fit_to_use_in_each_look(page)

    page.get_by_role("link", name="Rename").press("Enter")
    name = page.get_by_label("New name")
    assert_fit_to_use_in_each_look(page)
    name.fill("Granite insurance")
    name.press("Enter")
    expect(page.get_by_text("is there already")).to_be_visible()
    assert_fit_to_use_in_each_look(page)
    page.get_by_role("button", name="Rename").press("Enter")

    expect(page.get_by_text("2 leads were changed")).to_be_visible()
    assert Lead.objects.filter(organisation="Granite insurance").count() == 2


def test_names_are_suggested_in_the_form_and_in_the_row(page: Page, sales, leads):
    sign_in(page, sales)
    page.goto(page.server_url + "/leads/new/")

    page.get_by_label("Organisation").press_sequentially("gran")
    expect(page.locator("#id_organisation_list option")).to_have_attribute(
        "value", "Granite Insurance"
    )
    assert_fit_to_use_in_each_look(page)

    page.goto(page.server_url + leads[1].get_absolute_url())
    page.get_by_role("link", name="Edit organisation").press("Enter")
    field = page.locator("input#edit_organisation")
    expect(field).to_be_focused()
    field.fill("")
    field.press_sequentially("gran")
    expect(page.locator("#edit_organisation_list option")).to_have_attribute(
        "value", "Granite Insurance"
    )
    expect(field).to_have_value("gran")
    assert_fit_to_use_in_each_look(page)
    field.fill("Granite Insurance")
    field.press("Enter")

    expect(page.get_by_role("link", name="Granite Insurance").first).to_be_visible()
    assert Lead.objects.get(pk=leads[1].pk).organisation == "Granite Insurance"


def test_a_session_that_ends_meanwhile_takes_nothing_away_that_was_typed(
    page: Page, sales, leads
):
    sign_in(page, sales)
    page.goto(page.server_url + "/leads/new/")
    page.get_by_label("First name").fill("Ada")
    page.context.clear_cookies(name=settings.SESSION_COOKIE_NAME)

    with page.expect_response(lambda response: "/login/" in response.url):
        page.get_by_label("Organisation").press_sequentially("gran")
    page.wait_for_load_state("networkidle")

    expect(page.get_by_label("First name")).to_have_value("Ada")
    expect(page.get_by_label("Organisation")).to_have_value("gran")


def test_the_palette_leads_to_one(page: Page, sales, leads):
    sign_in(page, sales)
    page.goto(page.server_url + "/leads/")

    page.keyboard.press("Control+k")
    page.keyboard.type("kestrel")
    expect(
        page.get_by_role("group", name="Organisations").get_by_role("option")
    ).to_have_count(1)
    page.get_by_role("group", name="Organisations").get_by_role("option").click()

    page.wait_for_url("**/organisations/kestrel-aviation/")


def test_it_works_without_scripts_on_a_phone(another_browser, sales, leads):
    page = another_browser(
        java_script_enabled=False, viewport={"width": 390, "height": 844}
    )
    sign_in(page, sales)
    page.goto(page.server_url + "/organisations/")

    page.get_by_role("searchbox", name="Search organisations").fill("kestrel")
    page.get_by_role("button", name="Apply").click()
    expect(page.get_by_role("link", name="Granite Insurance")).to_have_count(0)
    page.get_by_role("link", name="Kestrel Aviation").click()
    page.get_by_role("link", name="Rename").click()
    page.get_by_label("New name").fill("Kestrel")
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Rename").click()

    expect(page.get_by_role("heading", name="Kestrel", exact=True)).to_be_visible()
    assert Lead.objects.filter(organisation="Kestrel").count() == 2
