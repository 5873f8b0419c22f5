"""The LinkedIn pages in a real browser: no finding of axe, no sideways scroll, and play within two seconds."""

import threading

import pytest
from django.db import connections
from django.urls import reverse
from playwright.sync_api import expect

from capi import services
from capi.delivery.deliver import deliver
from capi.models import Connection, ConversionEvent
from crm.models import Company, LeadStatus
from crm.services.people import show_outcomes
from tests.browser.looks import SIZES, assert_fit_to_use, open_page
from tests.capi.conftest import send_all
from tests.capi.counted import count_now
from tests.conftest import PASSWORD, TOKEN, make_deal, make_lead, sign_in
from tests.crm.accounts.conftest import link

pytestmark = pytest.mark.django_db(transaction=True)

LINKEDIN, EVENTS = reverse("linkedin"), reverse("events")


@pytest.fixture
def worker(company):
    """Delivers for the company all the time, like a worker that has been woken."""
    stopped = threading.Event()

    def run() -> None:
        while not stopped.wait(0.05):
            deliver(company.pk)
        connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    yield
    stopped.set()
    thread.join()


@pytest.fixture
def history(company, connected, make_rule) -> None:
    """Events in many states: sent, waiting, skipped, on hold, and a refused test."""
    make_rule("lead_created", "104011", name="New lead")
    purchase = make_rule("deal_created", "404404", name="Key page view")
    make_rule("deal_lost", "104013", name="Lost deal", is_active=False)
    lead = make_lead(
        company, first_name="Eva", last_name="Horvat", organisation="Acme GmbH"
    )
    make_lead(
        company,
        first_name="Piet",
        last_name="Larsen",
        organisation="Lumen Labs",
        email="",
    )
    make_lead(
        company, first_name="Tara", last_name="Novak", share_with_ad_platforms=False
    )
    make_deal(lead)
    services.send_test_event(rule=purchase)
    send_all(company)
    count_now()


def let_seconds_pass(page, seconds: float) -> None:
    """Advance the page's own clock, which the test has installed. Requests to the server still take real time."""
    page.clock.run_for(seconds * 1000)
    page.wait_for_timeout(300)


@pytest.mark.thorough
@pytest.mark.parametrize("size", SIZES)
def test_no_page_has_a_finding(
    page, company, admin, history, settings, sandbox, size
) -> None:
    settings.LINKEDIN_SANDBOX, settings.LINKEDIN_SANDBOX_LEDGER = (
        True,
        sandbox.ledger.path,
    )
    rule = company.conversion_rules.first()
    addresses = [
        *(
            reverse(name)
            for name in (
                "dashboard",
                "linkedin",
                "overview",
                "events",
                "sandbox",
                "rule_new",
                "token_remove",
            )
        ),
        *(reverse(name, args=[rule.pk]) for name in ("rule_edit", "rule_delete")),
        *(event.get_absolute_url() for event in ConversionEvent.objects.all()),
        f"{EVENTS}?state=failed&since=2026-03-03&until=2026-03-02",
    ]
    sign_in(page, admin)

    for address in addresses:
        open_page(page, address, size)
        assert_fit_to_use(page)
    Connection.objects.update(is_paused=True, paused_reason="token_refused")
    for address in addresses[:2]:
        open_page(page, address, size)
        assert_fit_to_use(page)


@pytest.mark.thorough
@pytest.mark.parametrize("size", SIZES)
def test_no_empty_page_has_a_finding(page, company, admin, settings, size) -> None:
    settings.LINKEDIN_SANDBOX = True
    sign_in(page, admin)

    for address in [
        reverse(name)
        for name in ("dashboard", "linkedin", "overview", "events", "sandbox")
    ]:
        open_page(page, address, size)
        assert_fit_to_use(page)


@pytest.mark.thorough
def test_no_table_is_wider_than_its_card_on_widths_in_between(
    page, company, admin, history
) -> None:
    show_outcomes(membership=admin, shown=True)
    sign_in(page, admin)

    for address in (
        reverse("leads"),
        LINKEDIN,
        EVENTS,
        ConversionEvent.objects.latest("pk").get_absolute_url(),
    ):
        page.goto(page.server_url + address)
        for width in (780, 1080, 1190):
            page.set_viewport_size({"width": width, "height": 900})
            fits = "table => table.scrollWidth <= table.parentElement.clientWidth"
            assert page.evaluate(
                f"[...document.querySelectorAll('table')].every({fits})"
            ), (address, width)


def save_token(page) -> None:
    page.get_by_label("Access token").fill(TOKEN)
    page.get_by_role("button", name="Save", exact=True).click()


def test_the_three_steps_in_a_browser(page, company, admin, sandbox, worker) -> None:
    sign_in(page, admin)
    open_page(page, LINKEDIN)

    page.get_by_role("link", name="Paste the access token").click()
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    save_token(page)
    expect(page.locator("#connect")).to_contain_text("Saved, not tested yet")

    page.get_by_role("link", name="Add rule").click()
    page.get_by_label("Lead qualified").check()
    expect(page.get_by_label("Send the deal's value")).to_be_hidden()
    page.get_by_label("Name").fill("Qualified lead")
    page.get_by_label("LinkedIn rule id").fill("urn:lla:llaPartnerConversion:104012")
    page.get_by_role("button", name="Save the rule").click()
    expect(page.locator("#map")).to_contain_text("1 of 1 active")

    button = page.get_by_role("button", name="Send a test event: Qualified lead")
    button.click()
    expect(page.locator("#map .rule-health")).to_contain_text("Sent")
    expect(page.locator("#connect-head")).to_contain_text(
        "Connected, LinkedIn answered just now"
    )
    expect(button).to_be_focused()
    expect(page.locator("#linkedin-says")).to_contain_text(
        "Test of Qualified lead: Sent."
    )

    page.reload()
    expect(page.locator("#verify")).to_contain_text("1 of 1 working")


def test_from_sign_up_to_sent_with_the_token_pasted_once(
    page, db, sandbox, settings
) -> None:
    settings.SIGNUP, settings.SITE_URL = True, "https://crm.example.com"
    open_page(page, "/signup/")
    for label, text in [
        ("Company", "Fabrikam BV"),
        ("First name", "Ada"),
        ("Last name", "Byron"),
        ("E-mail address", "ada@example.com"),
        ("Password", PASSWORD),
    ]:
        page.get_by_label(label).fill(text)
    page.keyboard.press("Enter")
    page.wait_for_url("**/confirm-email/")
    open_page(page, link())
    page.get_by_role("button").click()

    open_page(page, LINKEDIN)
    page.get_by_role("link", name="Paste the access token").click()
    page.get_by_label("Ad account id").fill("512345678")
    save_token(page)
    expect(page.locator("#connect-head")).to_contain_text(
        "Connected, LinkedIn answered just now"
    )
    page.get_by_role("link", name="Import from LinkedIn").click()
    page.get_by_role("button", name="Read the rules").click()
    page.get_by_role("button", name="Import selected rules").click()
    button = page.get_by_role("button", name="Send a test event: Qualified lead")
    button.click()
    expect(page.locator(".rule", has=button)).to_contain_text("Queued")
    send_all(Company.objects.get())

    expect(page.locator(".rule", has=button).locator(".rule-health")).to_contain_text(
        "Sent"
    )


@pytest.mark.thorough
@pytest.mark.parametrize(("rules", "at_most"), [(7, 1450), (10, 1600)])
def test_the_page_stays_short_with_many_rules(
    page, company, admin, connected, make_rule, rules, at_most
) -> None:
    for number in range(rules - 2):
        make_rule(
            "deal_won",
            str(104011 + number),
            name=f"Rule {number}",
            is_active=number == 0,
        )
    make_rule(
        "deal_lost",
        "403403",
        name="Paused",
        is_paused=True,
        paused_reason="rule_forbidden",
    )
    make_rule("lead_created", "98761", name="Off", is_active=False)
    sign_in(page, admin)

    open_page(page, LINKEDIN)

    heights = page.evaluate(
        "[...document.querySelectorAll('li.rule:not(:has(.strip))')].map(row => row.offsetHeight)"
    )
    assert set(heights) == {48}
    assert page.evaluate("document.documentElement.scrollHeight") <= at_most


def test_play_shows_a_refusal_beside_its_rule_within_two_seconds(
    page, company, ops, connected, make_rule, worker
) -> None:
    good, bad = (
        make_rule("lead_created", "104012", name="Good"),
        make_rule("deal_won", "404404", name="Bad"),
    )
    sign_in(page, ops)
    open_page(page, LINKEDIN, "phone")
    button = page.get_by_role("button", name="Send a test event: Bad")

    button.click()

    expect(page.locator(f"#rule-{bad.pk}")).to_contain_text("LinkedIn says 404")
    expect(page.locator(f"#rule-{good.pk}")).to_contain_text("Nothing sent so far")
    expect(button).to_be_focused()
    assert_fit_to_use(page)


def test_a_result_updates_the_page_around_it(
    page, company, admin, connected, make_rule, worker
) -> None:
    rule = make_rule("deal_won", "404404", name="Bad")
    sign_in(page, admin)
    open_page(page, LINKEDIN)

    page.get_by_role("button", name="Send a test event: Bad").click()

    expect(page.locator("#map")).to_contain_text("Paused 404")
    expect(page.locator(f"#rule-{rule.pk} .failure[open]")).to_contain_text(
        "LinkedIn says 404"
    )
    expect(page.locator("#verify-head")).to_contain_text("0 of 1 working")
    expect(page.locator("#checked")).to_contain_text("1 thing to fix")
    assert_fit_to_use(page)


def test_play_without_a_token_says_so_on_the_spot(
    page, company, ops, make_rule
) -> None:
    rule = make_rule(name="New lead")
    sign_in(page, ops)
    open_page(page, LINKEDIN)

    page.get_by_role("button", name="Send a test event: New lead").click()

    expect(page.locator(f"#test-{rule.pk}")).to_contain_text(
        "Save an access token in step 1 first"
    )
    assert not ConversionEvent.objects.exists()


def test_recent_events_shows_what_comes_in_without_a_reload(
    page, company, ops, connected, make_rule, worker
) -> None:
    make_rule("lead_qualified", "104012")
    lead = make_lead(company, first_name="Grace", last_name="Hopper")
    sign_in(page, ops)
    open_page(page, EVENTS)
    expect(page.get_by_text("No events yet")).to_be_visible()

    lead.status = LeadStatus.objects.get(company=company, meaning="qualified")
    lead.save()

    row = page.get_by_role("row", name="Grace Hopper")
    expect(row).to_contain_text("Sent", timeout=10_000)


def test_the_live_log_rests_while_somebody_is_at_a_link_in_it(
    page, company, ops, history
) -> None:
    sign_in(page, ops)
    page.clock.install()
    open_page(page, EVENTS)
    asked: list[str] = []
    page.on(
        "request",
        lambda request: (
            asked.append(request.url) if request.url.endswith(EVENTS) else None
        ),
    )
    link = page.locator("#rows td a").first

    link.focus()
    let_seconds_pass(page, 4.5)
    while_focused = len(asked)
    link.blur()
    let_seconds_pass(page, 4.5)

    assert while_focused == 0
    assert len(asked) == 1


def test_an_events_page_follows_its_event(
    page, company, ops, connected, make_rule
) -> None:
    make_rule()
    make_lead(company)
    sign_in(page, ops)
    open_page(page, ConversionEvent.objects.get().get_absolute_url())
    expect(page.locator(".page-head .badge")).to_have_text("Queued")

    send_all(company)

    expect(page.locator(".page-head .badge")).to_have_text("Sent", timeout=5_000)


def test_without_javascript_play_leads_to_a_page_that_refreshes_until_sent(
    plain_page, company, ops, connected, make_rule
) -> None:
    make_rule(name="New lead")
    sign_in(plain_page, ops)
    open_page(plain_page, LINKEDIN)
    state = plain_page.locator(".page-head .badge").last

    plain_page.get_by_role("button", name="Send a test event: New lead").click()
    expect(state).to_have_text("Queued")
    send_all(company)

    expect(state).to_have_text("Sent", timeout=8_000)


def test_without_javascript_the_log_is_filtered_and_paged(
    plain_page, company, ops, make_rule
) -> None:
    rule = make_rule(name="New lead")
    for _ in range(60):
        ConversionEvent.objects.create(
            company=company, rule=rule, state="rejected", reason="data_refused"
        )
    sign_in(plain_page, ops)
    open_page(plain_page, EVENTS)

    plain_page.get_by_role("link", name="Failed").click()
    plain_page.locator("#id_rule").select_option("New lead")
    plain_page.get_by_role("button", name="Apply").click()
    plain_page.get_by_role("link", name="Older").click()

    expect(plain_page.locator("#rows tbody tr")).to_have_count(10)
    expect(plain_page.get_by_role("link", name="Failed")).to_have_attribute(
        "aria-current", "true"
    )


@pytest.mark.parametrize("size", SIZES)
def test_check_everything_shows_what_to_mend_without_a_reload(
    page, company, ops, sandbox, make_rule, size
) -> None:
    services.save_token(company=company, token=TOKEN, ad_account_id="512345678")
    make_rule("deal_won", "400401", name="Old purchase")
    sign_in(page, ops)
    open_page(page, LINKEDIN, size)
    button = page.get_by_role("button", name="Check everything")

    button.focus()
    page.keyboard.press("Enter")

    expect(page.locator("#checked")).to_contain_text("things to fix", timeout=8_000)
    expect(button).to_be_focused()
    expect(page.locator("#findings")).to_contain_text(
        "Switched off in Campaign Manager: Old purchase (400401)."
    )
    expect(button).to_be_enabled()
    page.locator("#what-is-fine").click()
    expect(page.locator("#findings")).to_contain_text("Saved and readable")
    assert_fit_to_use(page)


def test_without_javascript_everything_is_checked_and_told_too(
    plain_page, company, ops, connected, make_rule
) -> None:
    make_rule()
    sign_in(plain_page, ops)
    open_page(plain_page, LINKEDIN)

    plain_page.get_by_role("button", name="Check everything").click()

    expect(plain_page.locator("#checked")).to_contain_text("1 thing to fix")
    expect(plain_page.locator("#findings")).to_contain_text(
        "No worker has ever checked for due events."
    )
