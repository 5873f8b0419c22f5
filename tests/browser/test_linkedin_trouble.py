"""What the LinkedIn page shows while something is wrong: each cause once, and first the button that fixes it."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import expect

from capi import services
from capi.linkedin.sandbox.scenarios import TOKENS
from capi.models import Connection, ConversionRule
from capi.models.choices import CrmEventName
from tests.browser.looks import SIZES, assert_fit_to_use, open_page
from tests.capi.conftest import send_all
from tests.conftest import TOKEN, make_deal, make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)

LINKEDIN = reverse("linkedin")
REPLACE, TRY_NOW = "Replace the token", "Try now"
PLAY = "Send a test event: Lead form sent"  # nothing has to be fixed

# For each token that fails in the sandbox: the first button of the content, and the words of the cause.
FAILURES = {
    "revoked": (REPLACE, "LinkedIn says 401"),
    "expired": (REPLACE, "LinkedIn says 401"),
    "invalid": (REPLACE, "LinkedIn says 401"),
    "norole": (REPLACE, "LinkedIn says 403"),
    "sendonly": (PLAY, ""),
    "throttled": (TRY_NOW, "LinkedIn keeps answering “too many requests” (429)"),
    "daylimit": (TRY_NOW, "LinkedIn says that its daily request limit is reached"),
    "broken": (TRY_NOW, "LinkedIn can't be reached or can't respond"),
    "unavailable": (TRY_NOW, "LinkedIn can't be reached or can't respond"),
    "proxied": (TRY_NOW, "Something on the way responds instead of LinkedIn"),
}

FIRST_BUTTON = """() => {
    const first = [...document.querySelectorAll("main :is(a.button, button)")].find(each => each.checkVisibility());
    return first.getAttribute("aria-label") ?? first.innerText.trim();
}"""


def fail_with(trigger, company, make_rule) -> None:
    """Send events of two rules with a token that the sandbox refuses. What is retried has lasted for a while."""
    services.save_token(
        company=company,
        token=f"AQX-{trigger}-token-0123456789",
        ad_account_id="512345678",
    )
    make_rule("lead_created", "104011", name="Lead form sent")
    make_rule("deal_created", "104013", name="Offer requested")
    make_deal(make_lead(company))
    send_all(company)
    Connection.objects.exclude(resting_since=None).update(
        resting_since=timezone.now() - timedelta(minutes=10)
    )


def test_the_table_has_each_failure_of_the_sandbox() -> None:
    assert list(FAILURES) == [scenario.trigger for scenario in TOKENS]


@pytest.mark.parametrize("trigger", FAILURES)
def test_the_first_button_fixes_the_cause_and_the_cause_is_shown_once(
    page, company, admin, sandbox, make_rule, trigger
) -> None:
    button, cause = FAILURES[trigger]
    fail_with(trigger, company, make_rule)
    sign_in(page, admin)

    open_page(page, LINKEDIN)

    assert page.evaluate(FIRST_BUTTON) == button
    if cause:
        expect(page.locator("#pause")).to_contain_text(cause)
        assert page.locator("main").inner_text().count(cause) == 1
        expect(page.locator("#pause")).not_to_contain_text("on the LinkedIn page")
    assert_fit_to_use(page)


@pytest.mark.parametrize("size", SIZES)
def test_a_rejected_token_takes_its_tick_and_the_focus(
    page, company, admin, sandbox, make_rule, size
) -> None:
    fail_with("revoked", company, make_rule)
    Connection.objects.update(is_paused=False, paused_reason="")
    sign_in(page, admin)
    open_page(page, LINKEDIN, size)
    expect(page.locator("#connect .step-number.done")).to_be_visible()

    page.get_by_role("button", name=PLAY).click()
    expect(page.locator(".playing")).to_be_visible()
    send_all(company)

    expect(page.locator("#pause .trouble")).to_be_focused()
    expect(page.locator("#connect-head .step-number")).to_be_visible()
    expect(page.locator("#connect-head .step-number.done")).to_have_count(0)
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.locator("#replace-token")).to_be_focused()
    assert_fit_to_use(page)


def test_five_failing_rules_and_a_rejected_token_fit_a_short_page(
    page, company, admin, make_rule
) -> None:
    services.save_token(company=company, token=TOKEN, ad_account_id="512345678")
    Connection.objects.update(is_paused=True, paused_reason="token_refused")
    failing = [
        make_fail(make_rule, event, number) for number, event in enumerate(CrmEventName)
    ]
    make_lead(company)
    sign_in(page, admin)
    page.set_viewport_size({"width": 1280, "height": 800})

    page.goto(page.server_url + LINKEDIN)

    assert page.evaluate("document.documentElement.scrollHeight") <= 1400
    assert page.evaluate(FIRST_BUTTON) == REPLACE
    text = page.locator("main").inner_text()
    assert text.count("Counts as two conversions") == len(failing)
    assert text.count("LinkedIn says 401") == 1
    assert text.count("LinkedIn says 404") == 0
    row = page.locator(f"#rule-{failing[0].pk}")
    row.locator("summary", has_text="Wrong rule id").click()
    expect(row.get_by_text("LinkedIn says 404")).to_be_visible()
    assert_fit_to_use(page)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("address", [reverse("leads"), reverse("events")])
def test_other_pages_say_it_in_one_line_with_the_way_to_the_linkedin_page(
    page, company, admin, make_rule, size, address
) -> None:
    services.save_token(company=company, token=TOKEN)
    make_rule()
    make_lead(company)
    Connection.objects.update(is_paused=True, paused_reason="refused")
    sign_in(page, admin)

    open_page(page, address, size)

    [notice] = page.locator(".banner").all()
    assert page.evaluate("document.querySelector('.banner').offsetHeight") <= 44
    notice.get_by_role("link", name="See why").click()
    expect(page.locator("#pause .trouble")).to_be_visible()


def make_fail(make_rule, crm_event, number) -> ConversionRule:
    """Two rules of an event, one that works and one that LinkedIn doesn't know. Returns the latter."""
    make_rule(crm_event, f"10401{number}", name=f"Works {number}")
    return make_rule(
        crm_event,
        f"40440{number}",
        name=f"Unknown {number}",
        is_paused=True,
        paused_reason="rule_not_found",
        paused_message="No rule with this id",
    )
