"""Notes and calls in the browser: written where the history is, by keyboard, with and without scripts."""

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from crm.models import Lead, Note
from tests.browser.looks import assert_fit_to_use_in_each_look
from tests.conftest import make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def lead(company):
    return make_lead(company, last_name="Byron")


def test_a_call_is_logged_by_keyboard_without_leaving_the_page(page: Page, sales, lead):
    sign_in(page, sales)
    page.goto(f"{page.server_url}{lead.get_absolute_url()}")
    form, text = page.locator("#new-note"), page.get_by_label("Text", exact=True)

    form.get_by_label("Note").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.type("Wants forty seats")
    page.keyboard.press("Enter")
    page.keyboard.type("from February")
    page.keyboard.press("Control+Enter")

    expect(page.locator("#timeline")).to_contain_text("from February")
    expect(page.locator("#messages")).to_contain_text("Call was added.")
    expect(text).to_have_value("")
    expect(text).to_be_focused()
    assert (Note.objects.get().kind, Note.objects.get().text) == (
        "call",
        "Wants forty seats\nfrom February",
    )
    assert_fit_to_use_in_each_look(page)


def test_what_has_been_typed_stays_when_the_page_is_redrawn_or_the_text_is_refused(
    page: Page, sales, lead
):
    sign_in(page, sales)
    page.goto(f"{page.server_url}{lead.get_absolute_url()}")
    text = page.get_by_label("Text", exact=True)

    text.fill("Wants forty seats")
    page.get_by_label("Status of Ada Byron").select_option("Contacted")
    expect(page.locator("#messages")).to_contain_text("Ada Byron is now Contacted.")
    expect(text).to_have_value("Wants forty seats")

    Lead.objects.update(
        erased_at=timezone.now(),
        first_name="",
        last_name="",
        email="",
        share_with_ad_platforms=False,
    )
    page.get_by_role("button", name="Add to history").click()
    expect(page.locator("#new-note")).to_contain_text(
        "Nothing was saved: this person has since been erased."
    )
    expect(text).to_have_value("Wants forty seats")
    assert not Note.objects.exists()


def test_without_scripts_it_is_an_ordinary_form(plain_page: Page, sales, lead):
    sign_in(plain_page, sales)
    plain_page.goto(f"{plain_page.server_url}{lead.get_absolute_url()}")

    plain_page.get_by_label("Text", exact=True).fill("Wants forty seats")
    plain_page.get_by_role("button", name="Add to history").click()

    expect(plain_page.locator("#timeline")).to_contain_text("Wants forty seats")
    expect(plain_page.get_by_text("Note was added.")).to_be_visible()
