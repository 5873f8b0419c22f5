"""What a phone has room for: the name of the company in the bar at the top, and a search field alone in its row."""

import pytest
from playwright.sync_api import Page

from tests.browser.looks import open_page
from tests.conftest import make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)

IS_CUT = "field => field.scrollWidth > field.clientWidth"
PLACEHOLDER_IS_CUT = """field => {
    const text = document.createElement("canvas").getContext("2d");
    text.font = getComputedStyle(field).font;
    const { paddingLeft, paddingRight } = getComputedStyle(field);
    const room = field.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight);
    return text.measureText(field.placeholder).width > room;
}"""


def test_the_name_of_the_company_is_not_cut_next_to_where_events_go(page: Page, sales, company):
    company.name = "Acme Ltd"
    company.save()
    sign_in(page, sales)

    open_page(page, "/leads/", "phone")

    assert page.locator(".top .badge").inner_text().startswith("Not LinkedIn")
    assert not page.locator(".top .company").evaluate(IS_CUT)


@pytest.mark.parametrize("path", ["/organisations/", "/deals/new/", "/help/"])
def test_a_search_field_that_is_alone_says_what_to_search_for(page: Page, sales, company, path):
    make_lead(company, organisation="Harbour Freight")
    sign_in(page, sales)

    open_page(page, path, "phone")

    assert not page.get_by_role("searchbox").first.evaluate(PLACEHOLDER_IS_CUT)


def test_on_a_desk_the_page_to_find_anything_does_too(page: Page, sales):
    sign_in(page, sales)

    open_page(page, "/find/")

    assert not page.locator("main").get_by_role("searchbox").evaluate(PLACEHOLDER_IS_CUT)
