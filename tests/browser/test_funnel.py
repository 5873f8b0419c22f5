"""The funnel in the browser: narrowed at once, read by keyboard, and its numbers lead to their leads."""

import pytest
from playwright.sync_api import Page, expect

from crm.models import LeadStatus, Stage
from tests.browser.looks import assert_fit_to_use_in_each_look
from tests.conftest import make_deal, make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)


def test_from_my_day_to_the_funnel_and_to_the_leads_behind_a_number(
    page: Page, admin, company
):
    qualified = LeadStatus.objects.for_company(company).get(name="Qualified")
    for source in ("Trade fair", "Trade fair", "Website"):
        make_lead(company, source=source, status=qualified)
    deal = make_deal(
        make_lead(company), stage=Stage.objects.usual_of(company).get(name="Won")
    )
    make_deal(deal.lead, currency="CHF")
    sign_in(page, admin)
    page.goto(page.server_url + "/my-day/")
    expect(
        page.get_by_role("img", name="Leads by what they have reached")
    ).to_be_visible()
    expect(page).to_have_title("My day · LeadMachine")
    assert_fit_to_use_in_each_look(page)

    page.get_by_role("link", name="Funnel", exact=True).press("Enter")
    expect(
        page.get_by_role("img", name="Leads by what they have reached")
    ).to_be_visible()
    assert_fit_to_use_in_each_look(page)
    page.get_by_role("combobox", name="Source").select_option("Trade fair")
    steps = page.get_by_role("region", name="Leads by step")
    expect(steps.get_by_role("row", name="Created")).to_contain_text("2")
    steps.get_by_role("row", name="Qualified").get_by_role("link").click()

    expect(page.locator("#lead-list tbody tr")).to_have_count(2)
    assert "reached=qualified" in page.url


def test_without_leads_it_says_so(page: Page, admin, company):
    sign_in(page, admin)
    page.goto(page.server_url + "/deals/funnel/")

    expect(page.get_by_role("heading", name="No leads in this period")).to_be_visible()
    assert_fit_to_use_in_each_look(page)
