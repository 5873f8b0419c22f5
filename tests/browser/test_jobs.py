"""The page of background jobs, on a desktop and a phone, with a keyboard alone."""

from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from crm.jobs import rounds
from crm.models import DataExport, Membership
from crm.services import data_exports
from tests.browser.looks import SIZES, assert_fit_to_use, open_page
from tests.conftest import sign_in
from tests.crm.jobs.making import MAKERS, bulk_change, data_export

pytestmark = pytest.mark.django_db(transaction=True)

JOBS = reverse("jobs")


@pytest.mark.parametrize("size", SIZES)
def test_no_page_has_a_finding(
    page: Page, admin: Membership, connected: Any, size: Any
) -> None:
    sign_in(page, admin)
    open_page(page, JOBS, size)
    expect(page.get_by_role("heading", name="No background jobs")).to_be_visible()
    assert_fit_to_use(page)
    for make in MAKERS.values():
        make(admin)
    DataExport.objects.update(state="failed", problem=data_exports.ERASED_SINCE)

    open_page(page, JOBS, size)

    assert_fit_to_use(page)


def test_it_follows_the_work_and_cancels_by_keyboard(
    page: Page, sales: Membership
) -> None:
    bulk_change(sales)
    made = data_export(sales)
    sign_in(page, sales)
    open_page(page, reverse("leads"))
    page.get_by_role("link", name="Background jobs").first.click()
    expect(page.get_by_text("0 of 3")).to_have_count(2)

    page.get_by_role("button", name=f"Cancel {made.title}").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("The export was cancelled.").first).to_be_visible()
    open_page(page, JOBS)
    rounds.work_through(lambda: True)

    expect(page.get_by_text("3 of 3")).to_be_visible()
    expect(page.get_by_text("Finished")).to_be_visible()
    made.refresh_from_db()
    assert made.state == "cancelled"
