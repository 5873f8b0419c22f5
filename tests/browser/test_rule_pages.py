"""Importing rules, and what a rule's form says of itself, in a real browser."""

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from capi import services
from capi.models import ConversionRule
from tests.browser.looks import SIZES, assert_fit_to_use, open_page
from tests.capi.counted import count_now, record
from tests.conftest import TOKEN, make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)

IMPORT, LINKEDIN, NEW = reverse("rule_import"), reverse("linkedin"), reverse("rule_new")


def connect(company, token=TOKEN, account="512345678") -> None:
    services.save_token(company=company, token=token, ad_account_id=account)


@pytest.mark.parametrize("size", SIZES)
def test_rules_are_imported_from_the_linkedin_page(
    page, company, admin, sandbox, make_rule, size
) -> None:
    connect(company)
    make_rule("deal_won", "104014", name="Purchase")
    sign_in(page, admin)
    open_page(page, LINKEDIN, size)

    page.get_by_role("link", name="Import from LinkedIn").click()
    page.get_by_role("button", name="Read the rules").click()
    expect(page.get_by_label("Lead form sent")).to_have_value("lead_created")
    assert_fit_to_use(page)
    page.get_by_label("Demo booked").select_option("deal_created")
    page.get_by_role("button", name="Import selected rules").click()

    expect(page.locator("#messages")).to_contain_text("3 rules imported.")
    expect(page.locator("#map")).to_contain_text("4 of 4 active")
    page.get_by_role("link", name="Import from LinkedIn").click()
    expect(page.get_by_text("Mapped: Deal created")).to_be_visible()


def test_the_form_fits_a_small_screen(page, company, admin, sandbox) -> None:
    connect(company)
    sign_in(page, admin)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(page.server_url + NEW)

    page.get_by_label("Deal won").check()

    expect(page.get_by_label("Send the deal's value")).to_be_visible()
    expect(page.locator("#consequences .note")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollHeight") <= 800
    page.get_by_label("LinkedIn rule id").fill("104014")
    page.get_by_role("button", name="Save and add another").click()
    expect(page.locator("#messages")).to_contain_text("Deal won added.")
    expect(page.get_by_label("LinkedIn rule id")).to_have_value("")


@pytest.mark.thorough
@pytest.mark.parametrize("size", SIZES)
def test_no_state_of_the_import_has_a_finding(
    page, company, admin, sandbox, size
) -> None:
    sign_in(page, admin)

    open_page(page, IMPORT, size)
    assert_fit_to_use(page)
    for token, account in [
        (TOKEN, ""),
        (TOKEN, "250250"),
        ("AQX-sendonly-token-0123456789", "512345678"),
        (TOKEN, "512345678"),
    ]:
        connect(company, token, account or "1")
        if not account:
            company.linkedin_connection.ad_account_id = ""
            company.linkedin_connection.save()
        open_page(page, IMPORT, size)
        assert_fit_to_use(page)
        if account:
            page.get_by_role("button", name="Read the rules").click()
            assert_fit_to_use(page)
    page.get_by_text("4 rules left out").click()
    page.get_by_label("Lead form sent").select_option("Don't import")
    for name in ("Qualified lead", "Purchase"):
        page.get_by_label(name, exact=True).select_option("Don't import")
    page.get_by_role("button", name="Import selected rules").click()
    expect(page.get_by_role("alert")).to_contain_text(
        "Choose a CRM event for at least one rule."
    )
    assert_fit_to_use(page)


def test_a_token_that_may_not_read_leads_to_pasting(
    page, company, admin, sandbox
) -> None:
    connect(company, token="AQX-sendonly-token-0123456789")
    sign_in(page, admin)
    open_page(page, IMPORT)
    page.get_by_role("button", name="Read the rules").click()

    expect(
        page.get_by_role("status").filter(has_text="normal for a Direct API token")
    ).to_be_visible()
    page.get_by_role("link", name="Add a rule by its id").first.click()

    expect(page.get_by_label("LinkedIn rule id")).to_be_visible()


@pytest.mark.parametrize("size", SIZES)
def test_the_form_says_how_often_the_rule_would_have_fired_as_one_chooses(
    page, company, admin, size
) -> None:
    for _ in range(3):
        make_lead(company)
    sign_in(page, admin)
    open_page(page, NEW, size)
    firing = page.locator("#consequences")
    expect(firing).to_contain_text("Choose a CRM event")

    page.get_by_label("Lead created").check()
    expect(firing).to_contain_text(
        "This rule would have fired 3 times in the last 30 days."
    )
    page.get_by_label("Deal won").check()
    expect(firing).to_contain_text("0 times")
    page.get_by_label("Frequency").select_option("Every time")

    expect(firing.locator(".note.wait")).to_contain_text(
        "An event sent twice counts twice"
    )
    assert_fit_to_use(page)


def test_without_javascript_a_button_shows_how_often_it_would_fire(
    plain_page, company, admin
) -> None:
    make_lead(company)
    sign_in(plain_page, admin)
    open_page(plain_page, NEW)

    plain_page.get_by_label("Lead created").check()
    plain_page.get_by_label("Name").fill("Half done")
    plain_page.get_by_role("button", name="Show how often it would fire").click()

    expect(plain_page.locator("#consequences")).to_contain_text(
        "would have fired 1 time in the last 30 days"
    )
    expect(plain_page.get_by_label("Name")).to_have_value("Half done")
    assert not ConversionRule.objects.exists()


@pytest.mark.thorough
@pytest.mark.parametrize("size", SIZES)
def test_a_rules_page_has_no_finding(
    page, company, ops, connected, make_rule, size
) -> None:
    rule = make_rule(
        "deal_lost", "404404", linkedin_type="PURCHASE", linkedin_read_at=timezone.now()
    )
    for state in ("accepted", "rejected", "pending", "skipped"):
        record(
            rule,
            state,
            reason="data_refused" if state == "rejected" else "",
            message="amount",
        )
    count_now()
    sign_in(page, ops)
    open_page(page, LINKEDIN, size)

    page.get_by_role("link", name="Deal lost", exact=True).click()
    expect(
        page.get_by_role("heading", name="Events per day by outcome")
    ).to_be_visible()
    assert_fit_to_use(page)
    type(rule).objects.update(is_paused=True, paused_reason="rule_not_found")
    open_page(page, rule.get_absolute_url(), size)
    assert_fit_to_use(page)
    open_page(page, make_rule("lead_created").get_absolute_url(), size)
    assert_fit_to_use(page)
