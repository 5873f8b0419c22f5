"""A backfill in a real browser: no finding of axe, no sideways scroll, and from the plan to the end by clicks."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from tests.browser.looks import SIZES, assert_fit_to_use, open_page
from tests.browser.test_capi_pages import worker
from tests.capi.conftest import states
from tests.capi.delivery.test_backfill import make_leads, start
from tests.conftest import sign_in
from tests.faults.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

__all__ = ["worker"]
LIST, PLAN = reverse("backfills"), reverse("backfill_plan")


@pytest.mark.thorough
@pytest.mark.parametrize("size", SIZES)
def test_no_page_has_a_finding(
    page, company, admin, connected, make_rule, size
) -> None:
    make_leads(company, 3)
    sign_in(page, admin)
    open_page(page, LIST, size)
    assert_fit_to_use(page)
    rule = make_rule()
    for address in (
        f"{PLAN}?period=30",
        f"{PLAN}?period=14",
        f"{PLAN}?period=7&rule={rule.pk}",
    ):
        open_page(page, address, size)
        assert_fit_to_use(page)
    backfill = start(rule)
    for address in (
        LIST,
        backfill.get_absolute_url(),
        reverse("backfill_cancel", args=[backfill.pk]),
    ):
        open_page(page, address, size)
        assert_fit_to_use(page)


def test_from_the_plan_to_the_end(
    page, company, admin, connected, sandbox, make_rule, worker
) -> None:
    make_leads(company, 12)
    rule = make_rule(name="New lead")
    sign_in(page, admin)
    open_page(page, reverse("linkedin"))

    page.get_by_label("More: New lead").click()
    page.get_by_role("link", name="Send earlier events: New lead").click()
    page.get_by_role("button", name="Send 12 earlier events").click()

    expect(page.locator("#backfill")).to_contain_text(
        "12 of 12 events processed", timeout=20_000
    )
    expect(page.locator("#backfill .badge").first).to_have_text("Done")
    # The page says “Done” once all are planned.
    wait_for(
        lambda: states(company) == ["accepted"] * 12,
        seconds=20,
        told="all events are sent",
    )
    assert rule.backfills.get().state == "done"
