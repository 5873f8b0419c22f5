"""A company's own sign-in provider in a real browser, from setting it up to coming in with it."""

import pytest
from playwright.sync_api import expect

from crm.models import SignInProvider
from crm.models.roles import Role
from crm.services import people
from tests.browser.looks import SIZES, assert_fit_to_use
from tests.browser.test_accounts import press
from tests.conftest import AT_REST, PASSWORD, sign_in
from tests.crm.accounts.openid_provider import OpenIdProvider

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.covers("S51")]


@pytest.fixture
def server(settings, live_server):
    settings.OUTBOUND_TO_LOOPBACK = True
    settings.SITE_URL = live_server.url
    server = OpenIdProvider()
    yield server
    server.close()


@pytest.fixture
def abroad(browser, live_server):
    """A page that may leave this site for the provider's."""
    context = browser.new_context(**AT_REST)
    page = context.new_page()
    page.server_url = live_server.url
    yield page
    context.close()


@pytest.mark.sized
@pytest.mark.parametrize("size", SIZES)
def test_an_admin_sets_it_up_and_a_colleague_comes_in_with_it(
    page, abroad, server, admin, sales, size
):
    for each in (page, abroad):
        each.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
    sign_in(page, admin)
    page.goto(f"{page.server_url}/company/")
    assert_fit_to_use(page)
    page.get_by_role("link", name="Company sign-in").click()
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Continue")
    assert_fit_to_use(page)
    page.get_by_label("Name", exact=True).fill("Okta")
    page.get_by_label("Issuer").fill("https://okta.example.com:9")
    page.get_by_label("Client id").fill(server.client_id)
    page.get_by_label("Client secret").fill(server.client_secret)
    press(page, "Save")
    expect(
        page.get_by_text("This host has no address on the internet.").first
    ).to_be_visible()
    assert_fit_to_use(page)
    page.get_by_label("Issuer").fill(server.issuer)
    page.get_by_label("Client secret").fill(server.client_secret)
    press(page, "Save")
    expect(page.locator("#messages")).to_contain_text("Okta was saved.")
    assert_fit_to_use(page)
    sign_in_link = page.get_by_label("Sign-in link", exact=True).inner_text()

    abroad.goto(f"{abroad.server_url}/login/")
    abroad.get_by_role("link", name="Sign in with your company").click()
    abroad.get_by_label("Company code or sign-in link").fill(sign_in_link)
    assert_fit_to_use(abroad)
    press(abroad, "Continue")
    expect(
        abroad.get_by_role("heading", name="Sign in to Northwind BV")
    ).to_be_visible()
    assert_fit_to_use(abroad)
    abroad.get_by_role("button", name="Continue with Okta").click()
    expect(abroad.get_by_role("heading", level=1, name="My day")).to_be_visible()

    # Once the provider is required, the password is no longer enough, and the page says how to continue.
    SignInProvider.objects.update(is_required=True)
    abroad.context.clear_cookies()
    sign_in(abroad, sales)
    abroad.goto(f"{abroad.server_url}/leads/")
    expect(
        abroad.get_by_text("Northwind BV asks you to sign in with Okta.")
    ).to_be_visible()
    assert_fit_to_use(abroad)
    abroad.get_by_role("button", name="Continue with Okta").press("Enter")
    expect(abroad.get_by_role("heading", level=1, name="My day")).to_be_visible()


@pytest.mark.sized
@pytest.mark.parametrize("size", SIZES)
def test_an_invited_person_comes_in_with_the_required_provider_and_signs_out(
    abroad, server, admin, company, size
):
    abroad.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
    provider = SignInProvider(
        company=company, name="Okta", issuer=server.issuer, client_id=server.client_id
    )
    provider.secret, provider.is_required = server.client_secret, True
    provider.save()
    server.person = {
        "sub": "77",
        "email": "grace@example.com",
        "email_verified": True,
        "given_name": "Grace",
    }
    server.discovery["end_session_endpoint"] = f"{server.issuer}/end"
    _, token = people.invite(
        company=company,
        email="grace@example.com",
        role=Role.SALES,
        invited_by=admin.user,
    )

    abroad.goto(f"{abroad.server_url}/invitations/{token}/")
    expect(
        abroad.get_by_text("Sign in with Okta, as grace@example.com.")
    ).to_be_visible()
    assert_fit_to_use(abroad)
    abroad.get_by_role("button", name="Continue with Okta").click()
    expect(abroad.get_by_role("heading", level=1, name="My day")).to_be_visible()
    expect(abroad.locator("#messages")).to_contain_text("Welcome to Northwind BV.")

    abroad.locator("summary", has_text="Grace").click()
    abroad.get_by_role("button", name="Sign out").click()
    abroad.wait_for_url(f"{server.issuer}/end?*")
    assert "/end?client_id=leadmachine&id_token_hint=" in server.requests[-1]
