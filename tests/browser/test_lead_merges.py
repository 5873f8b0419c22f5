"""Merging leads in a real browser: by keyboard, on a phone and without scripts."""

import pytest
from playwright.sync_api import Page, expect

from crm.models import Lead, LeadDuplicate
from tests.browser.looks import assert_fit_to_use_in_each_look
from tests.conftest import make_deal, make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def leads(company):
    kept = make_lead(
        company,
        first_name="Pieter",
        last_name="Dekker",
        organisation="Granite Insurance",
        notes="Met",
    )
    gone = make_lead(company, first_name="P.", last_name="Dekker", organisation="Granite Insurance", notes="Called",
                     email="p.dekker@mail.example", title="Head of Fleet", share_with_ad_platforms=False)  # fmt: skip
    make_deal(gone)
    LeadDuplicate.objects.create(
        company=company, first=kept, second=gone, reason="name"
    )
    return kept, gone


@pytest.mark.sized
def test_leads_are_merged_and_separated_by_keyboard_alone(page: Page, sales, leads):
    sign_in(page, sales)
    page.goto(page.server_url + "/leads/duplicates/")
    assert_fit_to_use_in_each_look(page)

    page.get_by_role("link", name="Merge Pieter Dekker and P. Dekker").press("Enter")
    expect(page.get_by_role("heading", name="Merge leads")).to_be_visible()
    address = page.get_by_role("radiogroup", name="E-mail")
    address.get_by_role("radio").first.focus()
    page.keyboard.press("ArrowRight")
    expect(address.get_by_role("radio").last).to_be_checked()
    assert_fit_to_use_in_each_look(page)
    page.get_by_role("button", name="Merge the two leads").press("Enter")

    expect(page.get_by_role("heading", name="Pieter Dekker")).to_be_visible()
    expect(page.get_by_text("p.dekker@mail.example").first).to_be_visible()
    assert_fit_to_use_in_each_look(page)
    page.get_by_role("button", name="Undo the merge").press("Enter")
    expect(page.get_by_text("are two leads again")).to_be_visible()
    assert Lead.objects.current().count() == 2


def test_two_leads_that_were_selected_are_merged_without_scripts(
    plain_page: Page, sales, leads
):
    page = plain_page
    sign_in(page, sales)
    page.goto(page.server_url + "/leads/")

    page.get_by_label("Select Pieter Dekker").check()
    page.get_by_label("Select P. Dekker").check()
    page.get_by_role("button", name="Merge", exact=True).click()
    page.get_by_role("button", name="Merge the two leads").click()

    expect(page.get_by_role("heading", name="Pieter Dekker")).to_be_visible()
    assert Lead.objects.current().count() == 1
