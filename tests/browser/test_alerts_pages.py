"""Alerts and reconcile in a real browser: no finding of axe, no sideways scroll, and the choice of mail kept."""

import pytest
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from capi.alerts.mail_choices import choices_of
from capi.models import Alert
from tests.browser.looks import SIZES, assert_fit_to_use, open_page
from tests.browser.test_capi_pages import history
from tests.capi.alerts.conftest import look
from tests.conftest import sign_in

pytestmark = pytest.mark.django_db(transaction=True)

__all__ = ["history"]
ALERTS, RECONCILE = reverse("alerts"), reverse("reconcile")


@pytest.mark.thorough
@pytest.mark.parametrize("size", SIZES)
def test_neither_page_has_a_finding(page, company, admin, history, size) -> None:
    sign_in(page, admin)
    addresses = (ALERTS, RECONCILE, f"{RECONCILE}?week={timezone.localdate()}")
    for address in addresses:
        open_page(page, address, size)
        assert_fit_to_use(page)
    rule = company.conversion_rules.first()
    Alert.objects.create(
        company=company,
        kind="silent",
        rule=rule,
        facts={"days": 5, "per_week": 12},
        closed_at=Now(),
        ending="fixed",
    )
    look(company)
    open_page(page, ALERTS, size)
    expect(page.get_by_text("is paused").first).to_be_visible()
    assert_fit_to_use(page)


def test_ops_choose_mail_with_the_keyboard_and_it_stays_chosen(
    page, company, ops
) -> None:
    sign_in(page, ops)
    open_page(page, ALERTS, "phone")
    box = page.get_by_label("When something changes")
    expect(box).not_to_be_checked()

    box.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")

    expect(page.get_by_text("Your choice was saved.")).to_be_visible()
    expect(page.get_by_label("When something changes")).to_be_checked()
    assert [(choice.alerts, choice.weekly) for choice in choices_of(company)] == [
        (True, False)
    ]


def test_on_a_phone_the_current_tab_is_in_view_and_tab_still_begins_at_the_top(
    page, company, ops
) -> None:
    Alert.objects.create(
        company=company, kind="token_ending", stage=14, facts={"on": "2027-03-31"}
    )
    sign_in(page, ops)
    open_page(page, "/integrations/linkedin/reconcile/", "phone")

    edge = page.locator(".tabs [aria-current]").bounding_box()
    page.keyboard.press("Tab")

    assert edge["x"] + edge["width"] <= 390
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
