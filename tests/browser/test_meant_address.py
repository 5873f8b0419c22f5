"""A likely typo of an address: LeadMachine asks whether another one was meant, and changes nothing by itself."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from crm.models import Lead
from tests.browser.looks import SIZES, assert_fit_to_use, open_page
from tests.conftest import make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("size", SIZES)
def test_a_lead_is_added_with_the_address_that_was_meant(
    page, company, sales, size
) -> None:
    sign_in(page, sales)
    open_page(page, reverse("lead_new"), size)
    page.get_by_label("First name").fill("Ada")
    page.get_by_label("E-mail").fill("ada@gmial.com")
    page.get_by_role("button", name="Add lead").click()

    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_role("alert")).to_contain_text("Did you mean ada@gmail.com?")
    assert_fit_to_use(page)
    page.get_by_role("button", name="Use ada@gmail.com").click()

    expect(page.locator("#messages")).to_contain_text("Ada was added.")
    assert Lead.objects.get().email == "ada@gmail.com"


def test_enter_in_a_field_keeps_the_address_that_was_typed(
    page, company, sales
) -> None:
    sign_in(page, sales)
    open_page(page, reverse("lead_new"), "desktop")
    page.get_by_label("First name").fill("Ada")
    page.get_by_label("E-mail").fill("ada@gmial.com")
    page.get_by_role("button", name="Add lead").click()
    page.get_by_label("E-mail").fill("ada@example.com")

    page.get_by_label("First name").press("Enter")

    expect(page.locator("#messages")).to_contain_text("Ada was added.")
    assert Lead.objects.get().email == "ada@example.com"


@pytest.mark.parametrize("size", SIZES)
def test_the_page_of_a_lead_corrects_its_address(page, company, sales, size) -> None:
    lead = make_lead(company, email="grace@hotmial.com")
    sign_in(page, sales)
    open_page(page, lead.get_absolute_url(), size)
    expect(page.get_by_text("Did you mean grace@hotmail.com?")).to_be_visible()
    assert_fit_to_use(page)

    page.get_by_role("button", name="Use it").click()

    expect(page.locator("#messages")).to_contain_text("E-mail of Ada was saved.")
    expect(page.get_by_text("Did you mean")).to_have_count(0)
