"""The page of a lead: its history follows its events automatically, and what can't be undone is out of the way."""

import pytest
from playwright.sync_api import Page, expect

from crm.models import Lead
from tests.browser.looks import assert_fit_to_use_in_each_look
from tests.capi.conftest import send_all
from tests.conftest import make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_queued_event_is_followed_until_it_is_sent(
    page: Page, admin, company, connected, make_rule
):
    make_rule("lead_created")
    lead = make_lead(company, first_name="Ada", last_name="Byron")
    sign_in(page, admin)
    page.goto(f"{page.server_url}/leads/{lead.pk}/")
    expect(page.locator("#outcome")).to_contain_text("Queued")
    expect(page.locator("#timeline[data-live]")).to_have_count(1)

    send_all(company)

    expect(page.locator("#outcome")).to_contain_text("Sent to LinkedIn")
    expect(page.locator("#timeline")).to_contain_text("Sent to LinkedIn")
    # Nothing left to follow.
    expect(page.locator("#timeline[data-live]")).to_have_count(0)


@pytest.mark.sized
def test_erasing_and_deleting_stand_apart_in_the_menu(page: Page, admin, company):
    lead = make_lead(
        company, first_name="Ada", last_name="Byron", phone="+31 20 555 0142"
    )
    sign_in(page, admin)
    page.goto(f"{page.server_url}/leads/{lead.pk}/")
    erase, delete = (
        page.get_by_role("link", name="Erase the person"),
        page.get_by_role("link", name="Delete the lead"),
    )
    expect(page.get_by_role("link", name="+31 20 555 0142")).to_have_attribute(
        "href", "tel:+31205550142"
    )
    expect(erase).to_be_hidden()

    page.get_by_label("More").click()

    assert (
        delete.bounding_box()["y"] - erase.bounding_box()["y"]
        > erase.bounding_box()["height"] + 5
    )
    assert_fit_to_use_in_each_look(page)


def test_a_detail_is_edited_in_its_row_by_keyboard(page: Page, sales, company):
    lead = make_lead(company, last_name="Byron", phone="+31 20 555 0142")
    sign_in(page, sales)
    page.goto(f"{page.server_url}/leads/{lead.pk}/")
    pencil, phone = (
        page.get_by_role("link", name="Edit phone"),
        page.get_by_label("Phone", exact=True),
    )

    pencil.focus()
    page.keyboard.press("Enter")
    expect(phone).to_be_focused()
    settled(page)
    page.keyboard.press("Escape")
    expect(pencil).to_be_focused()
    settled(page)
    page.keyboard.press("Enter")
    expect(phone).to_be_focused()
    settled(page)
    phone.fill("+31 20 555 0100")
    assert_fit_to_use_in_each_look(page)
    page.keyboard.press("Enter")

    expect(page.get_by_role("link", name="+31 20 555 0100")).to_be_visible()
    expect(pencil).to_be_focused()
    assert Lead.objects.get().phone == "+31 20 555 0100"


def test_a_row_that_is_edited_stays_so_while_another_is_saved(
    page: Page, sales, company
):
    lead = make_lead(company, last_name="Byron", phone="+31 20 555 0142", source="Fair")
    sign_in(page, sales)
    page.goto(f"{page.server_url}/leads/{lead.pk}/")
    phone, source = (
        page.get_by_label("Phone", exact=True),
        page.get_by_label("Source", exact=True),
    )
    page.get_by_role("link", name="Edit phone").click()
    phone.fill("+31 20 555 0100")
    page.get_by_role("link", name="Edit source").click()
    source.fill("Webinar")
    settled(page)

    source.press("Enter")

    expect(page.get_by_role("link", name="Edit source")).to_be_focused()
    expect(phone).to_have_value("+31 20 555 0100")
    settled(page)
    phone.press("Enter")
    expect(page.get_by_role("link", name="+31 20 555 0100")).to_be_visible()
    lead.refresh_from_db()
    assert (lead.source, lead.phone) == ("Webinar", "+31 20 555 0100")


def settled(page: Page) -> None:
    """Wait until htmx has processed what it has just put into the page. No person is faster than that."""
    expect(page.locator(".htmx-added")).to_have_count(0)
