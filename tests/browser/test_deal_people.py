"""The people of a deal in a real browser, by keyboard alone."""

import pytest
from playwright.sync_api import Page, expect

from crm.models import Deal, DealPerson
from tests.browser.looks import assert_fit_to_use_in_each_look
from tests.conftest import make_deal, make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_person_is_found_added_made_the_lead_and_another_removed_by_keyboard(
    page: Page, sales, company
):
    ada = make_lead(company, first_name="Ada", last_name="Byron", title="Head of Fleet")
    grace = make_lead(
        company,
        first_name="Grace",
        last_name="Hopper",
        email="grace@example.com",
        organisation="Navy",
    )
    deal = make_deal(ada)
    sign_in(page, sales)
    page.goto(f"{page.server_url}/deals/{deal.pk}/")
    people = page.locator("#people")

    people.get_by_role("link", name="Add a person").press("Enter")
    expect(page.get_by_role("searchbox", name="Search")).to_be_focused()
    # Perhaps the second.
    with page.expect_response(
        lambda response: "hopp" in (response.request.post_data or "")
    ):
        page.keyboard.type("hopp")
    expect(page.get_by_role("button", name="Add")).to_have_count(1)
    assert_fit_to_use_in_each_look(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Add Grace Hopper")).to_be_focused()
    page.keyboard.press("Enter")

    expect(page.get_by_text("Grace Hopper was added to the deal.")).to_be_visible()
    assert_fit_to_use_in_each_look(page)
    people.get_by_role("button", name="Make main person: Grace Hopper").press("Enter")
    expect(people.get_by_role("listitem").first).to_contain_text(
        "the only one reported to LinkedIn."
    )
    expect(people.get_by_role("link", name="Grace Hopper")).to_be_focused()
    assert (Deal.objects.get().lead, DealPerson.objects.get().lead) == (grace, ada)

    people.get_by_role("button", name="Remove Ada Byron from the deal").press("Enter")
    expect(people.get_by_role("listitem")).to_have_count(1)
    assert not DealPerson.objects.exists()
