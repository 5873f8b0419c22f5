"""Passkeys in a real browser, with Chromium's virtual authenticator: by mouse, by keyboard, on a phone and a desk."""

import pytest
from allauth.mfa.models import Authenticator
from playwright.sync_api import expect

from tests.browser.looks import SIZES, assert_fit_to_use
from tests.browser.test_accounts import press
from tests.conftest import PASSWORD, sign_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.covers("S50")]

PASSKEYS = "/account/passkeys/"


def plug_in(page):
    """Give the page's browser a device with a fingerprint reader. Returns a function that sends it commands."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    device = session.send("WebAuthn.addVirtualAuthenticator", {"options": options})[
        "authenticatorId"
    ]
    return lambda command, **args: session.send(
        f"WebAuthn.{command}", {"authenticatorId": device, **args}
    )


def add_passkey(page):
    page.goto(page.server_url + PASSKEYS)
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Continue")
    expect(page.get_by_label("Name")).to_be_visible()
    assert_fit_to_use(page)
    page.get_by_label("Name").fill("My laptop")
    press(page, "Add the passkey")
    expect(page.get_by_text("Save these codes somewhere safe now.")).to_be_visible()


@pytest.mark.sized
@pytest.mark.parametrize("size", SIZES)
def test_a_passkey_is_added_and_signs_in_by_keyboard(page, sales, size):
    page.set_viewport_size(dict(zip(("width", "height"), SIZES[size], strict=True)))
    plug_in(page)
    sign_in(page, sales)
    page.goto(page.server_url + PASSKEYS)
    expect(page.get_by_text("No passkeys yet")).to_be_visible()
    assert_fit_to_use(page)
    add_passkey(page)

    # Without a password, on the way to the page that was requested.
    page.context.clear_cookies()
    page.goto(f"{page.server_url}/leads/")
    assert_fit_to_use(page)
    page.get_by_role("button", name="Sign in with a passkey").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Leads", exact=True)).to_be_visible()

    # After the password, as the second step.
    page.context.clear_cookies()
    page.goto(f"{page.server_url}/login/")
    page.get_by_label("E-mail address").fill(sales.user.email)
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Sign in")
    expect(page.get_by_role("button", name="Use your passkey")).to_be_visible()
    assert_fit_to_use(page)
    press(page, "Use your passkey")
    expect(page.get_by_role("heading", level=1, name="My day")).to_be_visible()

    # And to confirm who is there, before it is removed.
    page.goto(page.server_url + PASSKEYS)
    expect(page.get_by_text("last used")).to_be_visible()
    assert_fit_to_use(page)
    page.get_by_role("link", name="Remove My laptop").click()
    page.get_by_role("link", name="Use a passkey instead").click()
    expect(page.get_by_role("button", name="Use your passkey")).to_be_visible()
    assert_fit_to_use(page)
    press(page, "Use your passkey")
    expect(page.get_by_role("heading", name="Remove My laptop?")).to_be_visible()
    assert_fit_to_use(page)
    press(page, "Remove")
    expect(page.locator("#messages")).to_contain_text("The passkey was removed.")
    assert not Authenticator.objects.exists()


def test_what_went_wrong_is_said_and_the_button_works_again(page, sales):
    device = plug_in(page)
    sign_in(page, sales)
    add_passkey(page)
    page.context.clear_cookies()
    page.goto(f"{page.server_url}/login/")

    device("setUserVerified", isUserVerified=False)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("No passkey was used.")).to_be_visible()
    assert_fit_to_use(page)
    device("setUserVerified", isUserVerified=True)
    page.keyboard.press("Enter")

    expect(page.get_by_role("heading", level=1, name="My day")).to_be_visible()


def test_without_javascript_the_password_is_all_that_is_offered(plain_page):
    plain_page.goto(f"{plain_page.server_url}/login/")

    expect(
        plain_page.get_by_role("button", name="Sign in with a passkey")
    ).to_be_hidden()
    expect(plain_page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
