"""Retry, cancel, what is on hold, the dry run and the hash box in a real browser: no finding of axe, on two sizes."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from capi.models import Connection, ConversionEvent
from tests.browser.looks import SIZES, assert_fit_to_use, open_page
from tests.browser.test_capi_pages import EVENTS, let_seconds_pass
from tests.capi.conftest import states
from tests.capi.counted import count_now
from tests.conftest import make_deal, make_lead, sign_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def held(company, connected, make_rule) -> None:
    """Two events on hold and one that was given up, and three on hold whose rule is paused as well."""
    rule = make_rule("lead_created", "104012", name="New lead")
    make_rule(
        "deal_created",
        "104013",
        name="New deal",
        is_paused=True,
        paused_reason="rule_not_found",
    )
    for name in ("Eva", "Piet", "Tara"):
        make_deal(
            make_lead(
                company, first_name=name, last_name="Horvat", organisation="Acme GmbH"
            )
        )
    last = ConversionEvent.objects.filter(rule=rule).order_by("pk").last()
    ConversionEvent.objects.filter(pk=last.pk).update(
        state="exhausted", reason="timed_out", next_attempt_at=None
    )
    Connection.objects.update(is_paused=True, paused_reason="token_refused")


@pytest.mark.thorough
@pytest.mark.parametrize("size", SIZES)
def test_no_page_has_a_finding(page, company, admin, held, size) -> None:
    lead, deal = company.leads.first(), company.deals.first()
    event = ConversionEvent.objects.get(state="exhausted")
    dry_run, retry, cancel = (
        reverse(name) for name in ("dry_run", "events_retry", "events_cancel")
    )
    sign_in(page, admin)

    addresses = [
        EVENTS, reverse("dashboard"), reverse("linkedin"), event.get_absolute_url(), lead.get_absolute_url(),
        f"{retry}?state=failed", f"{retry}?state=sent", f"{cancel}?state=on_hold", f"{dry_run}?lead={lead.pk}",
        f"{dry_run}?deal={deal.pk}", dry_run,
    ]  # fmt: skip
    for address in addresses:
        open_page(page, address, size)
        assert_fit_to_use(page)
    open_page(page, reverse("check_hash"), size)
    page.get_by_label("E-mail address").fill("Test@Example.com")
    page.keyboard.press("Enter")
    expect(page.locator("#answer")).to_contain_text("973dfe463ec85785")
    assert_fit_to_use(page)


def test_ticked_events_are_cancelled_and_brought_back_with_the_keyboard(
    page, company, ops, held
) -> None:
    ConversionEvent.objects.exclude(rule__name="New lead").delete()
    sign_in(page, ops)
    page.clock.install()
    open_page(page, f"{EVENTS}?state=on_hold")

    page.get_by_label("All on this page").press("Space")
    # The log refreshes itself, but not while events are selected.
    let_seconds_pass(page, 4.5)
    page.get_by_role("button", name="Cancel selected").press("Enter")
    expect(page.get_by_role("heading", name="Cancel 2 events?")).to_be_visible()
    page.get_by_role("button", name="Cancel 2 events").press("Enter")
    expect(page.get_by_text("2 events cancelled.")).to_be_visible()

    assert states(company) == ["cancelled", "cancelled", "exhausted"]
    open_page(page, EVENTS)
    page.get_by_role("link", name="Retry all that match").press("Enter")
    page.get_by_role("button", name="Retry 3 events").press("Enter")
    expect(page.get_by_text("3 events queued again.")).to_be_visible()
    assert states(company) == ["pending"] * 3


def test_one_event_is_retried_on_a_phone(page, company, ops, held) -> None:
    event = ConversionEvent.objects.get(state="exhausted")
    sign_in(page, ops)
    open_page(page, event.get_absolute_url(), "phone")

    page.get_by_role("link", name="Retry").click()
    page.get_by_role("button", name="Retry 1 event").click()

    expect(page.locator(".page-head .badge")).to_have_text("On hold")


def test_the_rule_of_a_dry_run_is_changed_in_place(page, company, ops, held) -> None:
    sign_in(page, ops)
    open_page(page, company.leads.first().get_absolute_url())

    page.get_by_label("More").click()
    page.get_by_role("link", name="Dry run").click()
    page.locator("#rule").select_option(label="New deal (Deal created)")

    expect(page.locator("#body")).to_contain_text("llaPartnerConversion:104013")


def test_the_filters_apply_at_once_and_keep_the_focus(page, company, ops, held) -> None:
    sign_in(page, ops)
    open_page(page, EVENTS)

    page.get_by_label("Lead", exact=True).press_sequentially("tara")

    expect(page.locator("#rows tbody tr")).to_have_count(2)
    expect(page.locator("#chips .chip").first).to_have_text("All 2")
    expect(page.get_by_label("Lead", exact=True)).to_be_focused()
    assert "tara" not in page.url
    page.get_by_label("CRM event").select_option("Lead created")
    expect(page.locator("#chips .chip").first).to_have_text("All 1")
    page.get_by_role("link", name="Clear filters").click()
    expect(page.locator("#chips .chip").first).to_have_text("All 6")


def test_a_reason_is_searched_for_and_chosen_by_keyboard(
    page, company, ops, held
) -> None:
    count_now()
    sign_in(page, ops)
    open_page(page, EVENTS)
    button = page.get_by_role("button", name="Any reason")

    button.press("Enter")
    page.get_by_label("Search in this list").press_sequentially("TIMED")

    expect(page.locator(".choices label:visible")).to_have_text(["Timed out"])
    page.keyboard.press("Enter")

    expect(page.locator(".choices")).to_be_hidden()
    expect(page.locator(".chosen")).to_have_text("Timed out")
    expect(page.locator("#rows tbody tr")).to_have_count(1)
    assert "reason=timed_out" in page.url

    page.locator(".chosen").click()
    expect(page.locator(".choices label:visible")).not_to_have_count(1)
    assert_fit_to_use(page)
    page.locator(".choices label", has_text="Any reason").click()
    expect(page.locator("#chips .chip").first).to_have_text("All 6")
    expect(page.locator(".choices")).to_be_hidden()


def test_what_is_typed_while_the_choices_open_is_kept(page, company, ops, held) -> None:
    count_now()
    sign_in(page, ops)
    open_page(page, EVENTS)

    kept = page.evaluate(
        """async () => {
            const choices = document.querySelector(".choices");
            const search = choices.querySelector("[type=search]");
            const opened = new Promise((done) =>
                choices.addEventListener("toggle", done, { once: true }));
            choices.showPopover();
            search.value = "TIMED";
            search.dispatchEvent(new Event("input", { bubbles: true }));
            await opened;
            return search.value;
        }"""
    )

    assert kept == "TIMED"
    expect(page.locator(".choices label:visible")).to_have_text(["Timed out"])


def is_new_page(response) -> bool:
    """True for the new page itself. After its redirect alone, the next step would replace a pending request."""
    return response.request.method == "GET" and "/overview/" in response.url


def test_a_period_and_dates_take_turns(page, company, ops, held) -> None:
    sign_in(page, ops)
    open_page(page, "/integrations/linkedin/overview/")

    with page.expect_response(is_new_page):
        page.get_by_label("Period").select_option("Other dates")
    with page.expect_response(is_new_page):
        page.get_by_label("From").fill("2026-01-05")
    page.get_by_label("Until").fill("2026-01-11")

    expect(page.locator("#period")).to_contain_text("5 Jan 2026 to 11 Jan 2026")
    expect(page.get_by_label("Period")).to_have_value("")
    expect(page.locator("#export-filters [name=since]")).to_have_value("2026-01-05")
    page.get_by_label("Period").select_option("Last 7 days")
    expect(page.locator("#period")).not_to_contain_text("Jan 2026")
    expect(page.get_by_label("From")).to_have_value("")
    assert "since" not in page.url
