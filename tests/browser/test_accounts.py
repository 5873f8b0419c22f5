"""Accounts in a real browser, with and without JavaScript, on a phone and a desk."""

import re
import time

import pytest
from allauth.mfa.models import Authenticator
from django.core import mail
from playwright.sync_api import expect

from crm.accounts import mails
from crm.models import Deal, Invitation, Lead, Membership
from crm.models.roles import Role
from tests.browser.looks import SIZES, assert_fit_to_use, show_at
from tests.conftest import (
    PASSWORD,
    code_now,
    guarded,
    join,
    make_deal,
    make_lead,
    sign_in,
)
from tests.crm.accounts.conftest import Clock, set_up_app

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _site(settings, live_server):
    settings.SITE_URL = live_server.url
    settings.SIGNUP = True


@pytest.fixture
def clock(monkeypatch):
    clock, real = Clock(), time.time
    monkeypatch.setattr(time, "time", lambda: real() + clock.ahead)
    return clock


def link(message):
    return re.search(
        r"http://\S+/(?:confirm-email|invitations|password)/\S+", message.body
    ).group(0)


def newest_link():
    mails.send_due()
    return link(mail.outbox[-1])


def press(page, name):
    with page.expect_navigation():
        page.get_by_role("button", name=name, exact=True).click()


@pytest.mark.sized
@pytest.mark.parametrize("size", SIZES)
def test_from_signing_up_to_a_colleague_with_a_second_factor_and_a_new_role(
    page, another_browser, size
):
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})

    # Ada signs her company up.
    page.goto(f"{page.server_url}/login/")
    assert_fit_to_use(page)
    page.get_by_role("link", name="Create an account").click()
    assert_fit_to_use(page)
    for label, value in (
        ("Company", "Northwind BV"),
        ("First name", "Ada"),
        ("Last name", "Byron"),
    ):
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_label("E-mail address").fill("ada@example.com")
    page.get_by_label("Password").fill("short")
    press(page, "Create account")
    expect(page.get_by_role("alert")).to_contain_text("This password is too short.")
    assert_fit_to_use(page)
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Create account")
    expect(page.get_by_role("heading", name="Check your inbox")).to_be_visible()
    assert_fit_to_use(page)

    # She confirms her address, and is in.
    page.goto(newest_link())
    assert_fit_to_use(page)
    press(page, "Yes, confirm it")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert Membership.objects.get().company.name == "Northwind BV"

    # She invites Grace.
    page.goto(f"{page.server_url}/company/people/")
    assert_fit_to_use(page)
    page.get_by_label("E-mail address").fill("grace@example.com")
    page.locator("#id_role").select_option("sales")
    press(page, "Invite")
    expect(page.locator("#messages")).to_contain_text(
        "An invitation is on its way to grace@example.com."
    )
    assert_fit_to_use(page)

    # Grace accepts, in a browser of her own, and sets an authenticator app up.
    hers = another_browser(viewport={"width": width, "height": height})
    hers.goto(newest_link())
    assert_fit_to_use(hers)
    hers.get_by_label("First name").fill("Grace")
    hers.get_by_label("Last name").fill("Hopper")
    hers.get_by_label("Password").fill(PASSWORD)
    press(hers, "Join")
    expect(hers.locator("#messages")).to_contain_text("Welcome to Northwind BV.")
    hers.goto(f"{hers.server_url}/account/")
    assert_fit_to_use(hers)
    hers.get_by_role("link", name="Set up app").click()
    assert_fit_to_use(hers)
    hers.get_by_label("Password").fill(PASSWORD)
    press(hers, "Continue")
    assert_fit_to_use(hers)
    hers.get_by_label("Code").fill(code_now(hers.locator("code").inner_text()))
    press(hers, "Switch on")
    expect(hers.get_by_text("Save these codes somewhere safe now.")).to_be_visible()
    assert_fit_to_use(hers)
    recovery_code = hers.locator("pre").inner_text().split()[0]

    # From now on, signing in needs a code. She has lost her phone, and uses a recovery code.
    hers.context.clear_cookies()
    hers.goto(f"{hers.server_url}/leads/")
    hers.get_by_label("E-mail address").fill("grace@example.com")
    hers.get_by_label("Password").fill(PASSWORD)
    press(hers, "Sign in")
    expect(hers.get_by_role("heading", name="Enter your code")).to_be_visible()
    assert_fit_to_use(hers)
    hers.get_by_label("Code").fill(recovery_code)
    press(hers, "Sign in")
    expect(hers.get_by_role("heading", name="Leads", exact=True)).to_be_visible()
    expect(hers.get_by_role("link", name="Add lead").first).to_be_visible()

    # Ada changes Grace's role to ops, which applies from Grace's very next click.
    page.goto(f"{page.server_url}/company/people/")
    page.get_by_label("Role of Grace Hopper", exact=True).select_option("ops")
    page.get_by_role("button", name="Change the role of Grace Hopper").click()
    expect(page.locator("#messages")).to_contain_text(
        "Grace Hopper now has the role Ops."
    )
    hers.reload()
    expect(hers.get_by_role("link", name="Add lead")).to_have_count(0)


@pytest.mark.thorough
@pytest.mark.parametrize("size", SIZES)
def test_no_page_has_a_finding(page, company, admin, size):
    show_at(page, size)
    second = join(company, Role.OPS, email="ops@example.com")
    join(
        company,
        Role.SALES,
        email="with.a.very.long.address.that.has.no.blank@department.example.com",
    )
    Membership.objects.filter(user__email__startswith="with").update(is_active=False)
    for name, sent_at in (
        ("waiting", "2999-01-01T00:00Z"),
        ("late", "2026-01-01T00:00Z"),
    ):
        Invitation.objects.create(
            company=company,
            email=f"{name}@example.com",
            role="ops",
            token_sha256=name,
            sent_at=sent_at,
        )
    paths = ("/login/", "/signup/", "/confirm-email/", "/confirm-email/nonsense/", "/password/reset/",
             "/password/reset/sent/", "/password/reset/1-nonsense/", "/password/reset/done/")  # fmt: skip
    for path in paths:
        page.goto(page.server_url + path)
        assert_fit_to_use(page)

    sign_in(page, admin)
    for path in ("/company/people/", f"/company/people/{second.pk}/deactivate/", "/account/", "/account/password/",
                 "/account/confirm/", "/account/sessions/"):  # fmt: skip
        page.goto(page.server_url + path)
        assert_fit_to_use(page)
    set_up_app(admin.user)
    for path in ("/account/", "/account/confirm/code/"):
        page.goto(page.server_url + path)
        assert_fit_to_use(page)


def test_without_javascript_a_forgotten_password_is_replaced(plain_page, sales):
    plain_page.goto(f"{plain_page.server_url}/login/")
    plain_page.get_by_role("link", name="Forgot your password?").click()
    plain_page.get_by_label("E-mail address").fill("sales@example.com")
    press(plain_page, "Send the link")
    plain_page.goto(newest_link())
    plain_page.get_by_label("New password").fill("a brand new one, long enough")
    plain_page.get_by_label("Repeat the password").fill("a brand new one, long enough")
    press(plain_page, "Save password")
    plain_page.get_by_role("link", name="Sign in").click()
    plain_page.get_by_label("E-mail address").fill("sales@example.com")
    plain_page.get_by_label("Password").fill("a brand new one, long enough")
    press(plain_page, "Sign in")

    expect(plain_page.get_by_role("heading", level=1)).to_be_visible()
    assert plain_page.url == f"{plain_page.server_url}/my-day/"


def test_without_javascript_an_authenticator_app_is_set_up_and_switched_off(
    plain_page, sales
):
    sign_in(plain_page, sales)
    plain_page.goto(f"{plain_page.server_url}/account/app/on/")
    plain_page.get_by_label("Password").fill(PASSWORD)
    press(plain_page, "Continue")
    plain_page.get_by_label("Code").fill(
        code_now(plain_page.locator("code").inner_text())
    )
    press(plain_page, "Switch on")
    expect(plain_page.locator("#messages")).to_contain_text(
        "Your authenticator app is set up."
    )

    plain_page.get_by_role("link", name="Done").click()
    plain_page.get_by_role("link", name="Switch off").click()
    press(plain_page, "Switch off")

    expect(plain_page.locator("#messages")).to_contain_text(
        "Your authenticator app is switched off."
    )
    assert not Authenticator.objects.exists()


def test_a_tab_of_the_former_company_writes_nothing_and_says_so(
    page, sales, other_company
):
    """S07"""
    Membership.objects.create(company=other_company, user=sales.user, role="admin")
    page.refusals.add(403)
    sign_in(page, sales)
    page.goto(f"{page.server_url}/leads/new/")
    page.get_by_label("First name").fill("Ada")
    with guarded(page.context.new_page(), page.server_url) as other_tab:
        other_tab.goto(f"{page.server_url}/leads/")
        with other_tab.expect_navigation():
            other_tab.get_by_label("Company", exact=True).select_option("Contoso GmbH")

    press(page, "Add lead")

    expect(page.get_by_role("heading", name="Please try again")).to_be_visible()
    assert not Lead.objects.exists()


def test_what_was_typed_is_in_the_form_again_after_signing_in(page, sales, clock):
    sign_in(page, sales)
    page.goto(f"{page.server_url}/leads/new/")
    page.get_by_label("First name").fill("Grace")
    page.locator("[name=email]").fill("grace@example.com")
    clock.goes_on(seconds=9 * 3600)

    page.locator("main button.primary").click()
    expect(page.get_by_text("What you typed is kept")).to_be_visible()
    page.get_by_label("E-mail address").fill(sales.user.email)
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Sign in")

    expect(page.get_by_label("First name")).to_have_value("Grace")
    expect(page.locator("[name=email]")).to_have_value("grace@example.com")
    expect(page.locator("#typed-note")).to_be_visible()
    assert not Lead.objects.exists()


@pytest.mark.parametrize("path", ["/leads/", "/deals/"])
def test_a_choice_made_after_the_session_has_ended_is_said_not_to_be_saved(
    page, sales, company, clock, path
):
    lead = make_lead(company)
    deal = make_deal(lead)
    sign_in(page, sales)
    page.goto(page.server_url + path)
    clock.goes_on(seconds=9 * 3600)

    page.locator("main form.quick select").first.select_option(
        "Qualified" if path == "/leads/" else "Lost"
    )
    note = page.get_by_text(
        "Your session had ended, so your last change was not saved."
    )
    expect(note).to_contain_text("Sign in, then make it again.")
    assert_fit_to_use(page)
    page.get_by_label("E-mail address").fill(sales.user.email)
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Sign in")

    expect(note).to_contain_text("Make it again.")
    assert page.url.startswith(page.server_url + path)
    lead.refresh_from_db()
    assert (str(lead.status), str(Deal.objects.get().stage)) == ("New", str(deal.stage))
    page.reload()
    expect(note).to_have_count(0)


def test_a_search_after_the_session_has_ended_lost_nothing(page, sales, company, clock):
    make_lead(company)
    sign_in(page, sales)
    page.goto(f"{page.server_url}/leads/")
    clock.goes_on(seconds=9 * 3600)

    page.locator("#search").press_sequentially("Ada")

    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_text("was not saved")).to_have_count(0)


def test_the_time_zone_is_guessed_from_the_browser(page):
    page.goto(f"{page.server_url}/signup/")

    guessed = page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone")

    expect(page.get_by_label("Time zone")).to_have_value(guessed)
