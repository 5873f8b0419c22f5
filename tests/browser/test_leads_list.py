"""The list of leads: rows of one height that stay where they are, whatever changes in them."""

import pytest
from playwright.sync_api import Page, expect

from crm.models import Company, Lead, Membership
from crm.services.people import show_outcomes
from tests.browser.held import are_posted
from tests.browser.looks import SIZES, assert_fit_to_use_in_each_look, open_page
from tests.conftest import make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)

LONG = {
    "first_name": "Maximiliane",
    "last_name": "von Hohenstein-Oberwaldersdorf",
    "email": "maximiliane.von.hohenstein-oberwaldersdorf@verdant-farms-international.example",
    "organisation": "Verdant Farms International Cooperative Holding",
    "source": "Trade fair in Düsseldorf, hall 7",
}


@pytest.fixture
def leads(company: Company, sales: Membership) -> list[Lead]:
    """A page of leads: one has a name, an address and an organisation too long for any column, one has no address."""
    show_outcomes(membership=sales, shown=True)
    plain = [
        make_lead(
            company,
            first_name=f"Lead {number:02}",
            email=f"lead{number}@example.com",
            owner=sales.user,
        )
        for number in range(23)
    ]
    without_address = make_lead(
        company, first_name="Emil", last_name="Rossi", email="", phone="+31 20 555 0142"
    )
    return [*plain, without_address, make_lead(company, owner=sales.user, **LONG)]


def open_list(page: Page, member: Membership, size: str) -> None:
    sign_in(page, member)
    open_page(page, "/leads/", size)


def heights(page: Page) -> set[float]:
    return set(
        page.locator("tbody tr").evaluate_all(
            "rows => rows.map(row => row.getBoundingClientRect().height)"
        )
    )


@pytest.mark.sized
@pytest.mark.parametrize(
    ("size", "row", "whole"), [("desktop", 48, 1500), ("phone", 96, 2700)]
)
def test_rows_have_one_height_and_a_page_of_them_is_short(
    page: Page, sales, leads, size, row, whole
):
    open_list(page, sales, size)

    [height] = heights(page)
    assert height <= row
    assert page.evaluate("document.documentElement.scrollHeight") <= whole
    assert_fit_to_use_in_each_look(page)


def test_it_is_a_table_on_every_screen_but_a_phones(page: Page, sales, leads):
    open_list(page, sales, "desktop")

    for width in (900, 1024, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        assert heights(page) == {48}, width
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
            width
        )


@pytest.mark.parametrize("size", SIZES)
def test_it_keeps_its_place_to_the_pixel_when_a_status_changes(
    page: Page, sales, leads, size
):
    open_list(page, sales, size)
    select = page.get_by_label("Status of Lead 10")
    select.scroll_into_view_if_needed()
    before = select.bounding_box(), page.evaluate("scrollY")
    assert before[1] > 0

    select.focus()
    select.press("ArrowDown")
    select.press("Enter")

    expect(page.get_by_role("status")).to_contain_text("Lead 10 is now Contacted.")
    expect(select).to_be_focused()
    assert (select.bounding_box()["y"], page.evaluate("scrollY")) == (
        before[0]["y"],
        before[1],
    )


@pytest.mark.parametrize("size", SIZES)
def test_it_keeps_its_place_when_many_change_together(page: Page, sales, leads, size):
    open_list(page, sales, size)
    page.get_by_label("Select Lead 10").check()
    page.get_by_label("New status of the selected leads").select_option("Contacted")
    before = page.evaluate("scrollY")

    # Click where a person sees it: Playwright's own click would first scroll to the bar's place below the list.
    button = page.get_by_role("button", name="Set status").bounding_box()
    page.mouse.click(button["x"] + 5, button["y"] + 5)

    expect(page.get_by_role("status")).to_contain_text("1 lead is now Contacted.")
    assert page.evaluate("scrollY") == before > 0


def test_the_bar_for_many_comes_with_the_first_and_goes_with_the_last(
    page: Page, sales, leads
):
    open_list(page, sales, "desktop")
    bar = page.locator(".bulk-bar")
    expect(bar).to_be_hidden()

    page.get_by_label("Select Lead 10").check()

    expect(bar).to_be_in_viewport(ratio=1)
    page.get_by_label("All on this page").check()
    page.get_by_role("button", name="Clear the selection").click()
    expect(bar).to_be_hidden()
    expect(page.get_by_label("All on this page")).to_be_focused()


def test_a_row_says_that_its_change_is_under_way_and_is_sent_once(
    page: Page, sales, leads
):
    open_list(page, sales, "desktop")
    posts = []
    page.route("**/status/", lambda route: posts.append(route))
    select, row = (
        page.get_by_label("Status of Lead 10"),
        page.get_by_role("row", name="Lead 10"),
    )

    select.select_option("Contacted")
    expect(row).to_have_attribute("aria-busy", "true")
    select.select_option("Unqualified")

    assert are_posted(page, posts)
    posts[0].continue_()
    expect(row).not_to_have_attribute("aria-busy", "true")
    expect(select.locator("option:checked")).to_have_text("Contacted")


def test_a_lead_without_an_address_is_called_from_the_list(page: Page, sales, leads):
    open_list(page, sales, "phone")

    expect(page.get_by_role("link", name="+31 20 555 0142")).to_have_attribute(
        "href", "tel:+31205550142"
    )


def test_on_a_phone_a_name_keeps_its_room_while_a_status_is_chosen(
    page: Page, sales, leads
):
    open_list(page, sales, "phone")
    title, select = (
        page.locator("td.title").nth(9),
        page.locator("td.end select").nth(9),
    )
    before = title.bounding_box()["width"]

    select.focus()
    for letter in "unq":
        page.keyboard.press(letter)

    expect(select.locator("option:checked")).to_have_text("Unqualified")
    assert title.bounding_box()["width"] == before
    page.keyboard.press("Escape")
