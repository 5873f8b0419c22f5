"""Every page of accounts is in the product's look; what we do not offer is not there."""

import re

import pytest
from django.test import Client
from django.urls import NoReverseMatch, reverse

from crm.accounts import urls
from tests.crm.accounts.conftest import confirm_password, set_up_app

pytestmark = pytest.mark.django_db

NAMES = sorted(
    {pattern.name for pattern in urls.urlpatterns} - {"account_logout", "logout"}
)
KEYS = {
    "account_confirm_email": ["nonsense"],
    "account_reset_password_from_key": ["1", "nonsense"],
    "company_sign_in": ["nonsense"],
    "company_sign_in_callback": ["nonsense"],
    "mfa_edit_webauthn": ["1"],
    "mfa_remove_webauthn": ["1"],
}


def pages(client):
    for name in NAMES:
        answer = client.get(reverse(name, args=KEYS.get(name)))
        assert answer.status_code in (200, 302, 404), name
        if answer.status_code == 200:
            yield name, answer.content.decode()


@pytest.mark.parametrize("who", ["nobody", "member", "member with an app"])
def test_every_page_has_our_stylesheet_and_no_script_of_others(client_as, sales, who):
    client = Client() if who == "nobody" else client_as(sales)
    if who == "member with an app":
        set_up_app(sales.user)
    if who != "nobody":
        confirm_password(client)

    found = dict(pages(client))

    assert len(found) >= 6
    for name, text in found.items():
        assert 'href="/static/app.css"' in text, name
        assert "<title>" in text, name
        scripts = re.findall(
            '<script (?:src="/static/|id="passkey-options" type="application/json")',
            text,
        )
        # Htmx and our own three; those for passkeys.
        assert text.count("<script") == len(scripts) >= 4, name
        assert " style=" not in text, name


@pytest.mark.parametrize(
    "name",
    [
        "account_request_login_code",
        "mfa_trust",
        "mfa_signup_webauthn",
        "socialaccount_signup",
    ],
)
def test_what_is_not_offered_is_not_there(name):
    with pytest.raises(NoReverseMatch):
        reverse(name)


def test_pages_that_ask_for_a_password_are_not_kept_by_browsers(db):
    assert "no-store" in Client().get("/login/").headers["Cache-Control"]
    assert "no-store" in Client().get("/signup/").headers["Cache-Control"]
