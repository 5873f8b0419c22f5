"""What a phone has room for: the name of the company in the bar at the top, the search of a list, and its buttons."""

import pytest
from playwright.sync_api import Page

from tests.browser.looks import open_page
from tests.conftest import make_deal, make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)

IS_CUT = "field => field.scrollWidth > field.clientWidth"
PLACEHOLDER_IS_CUT = """field => {
    const text = document.createElement("canvas").getContext("2d");
    text.font = getComputedStyle(field).font;
    const { paddingLeft, paddingRight } = getComputedStyle(field);
    const room = field.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight);
    return text.measureText(field.placeholder).width > room;
}"""


def test_the_name_of_the_company_is_not_cut_next_to_where_events_go(
    page: Page, sales, company
):
    company.name = "Acme Ltd"
    company.save()
    sign_in(page, sales)

    open_page(page, "/leads/", "phone")

    assert page.locator(".top .badge").inner_text().startswith("Not LinkedIn")
    assert not page.locator(".top .company").evaluate(IS_CUT)


@pytest.mark.parametrize("path", ["/organisations/", "/deals/new/", "/help/"])
def test_a_search_field_that_is_alone_says_what_to_search_for(
    page: Page, sales, company, path
):
    make_lead(company, organisation="Harbour Freight")
    sign_in(page, sales)

    open_page(page, path, "phone")

    assert not page.get_by_role("searchbox").first.evaluate(PLACEHOLDER_IS_CUT)


@pytest.mark.parametrize(
    "path", ["/leads/", "/deals/list/", "/integrations/linkedin/events/"]
)
def test_a_search_field_with_other_filters_says_so_too_and_stays_while_they_scroll(
    page: Page, admin, company, path
):
    make_deal(make_lead(company))
    sign_in(page, admin)

    open_page(page, path, "phone")
    field = page.locator("#search")
    before = field.bounding_box()
    page.locator(".filters").evaluate("filters => { filters.scrollLeft = 100; }")

    assert not field.evaluate(PLACEHOLDER_IS_CUT)
    assert abs(field.bounding_box()["x"] - before["x"]) < 1
    assert page.locator(".filters").bounding_box()["height"] < 95


def test_the_buttons_above_the_leads_take_two_lines(page: Page, admin, company):
    make_lead(company)
    sign_in(page, admin)

    open_page(page, "/leads/", "phone")

    assert (
        len(
            {
                button.bounding_box()["y"]
                for button in page.locator(".page-head .actions .button:visible").all()
            }
        )
        == 2
    )


def test_on_a_desk_the_page_to_find_anything_does_too(page: Page, sales):
    sign_in(page, sales)

    open_page(page, "/find/")

    assert (
        not page.locator("main").get_by_role("searchbox").evaluate(PLACEHOLDER_IS_CUT)
    )
