"""Erasing a person, setting up a provider, an invitation and an outage, by Tab, Enter, Space and letters alone.

Whatever has the focus is in sight, and looks as if it had it.
"""

# ruff: noqa: F811 - arguments have the names of imported fixtures

import os
from pathlib import Path

import pytest
from django.db import OperationalError
from playwright.sync_api import Locator, Page, expect
from psycopg.errors import QueryCanceled

from crm.forms.leads import LeadForm
from crm.models import Lead, SignInProvider
from crm.models.roles import Role
from crm.services import people
from tests.browser.looks import SIZES, THEMES, show_at
from tests.browser.test_company_sign_in import abroad, server  # noqa: F401 - fixtures
from tests.conftest import PASSWORD, make_lead, sign_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.thorough]

TABS_AT_MOST = 90  # the company's page has the most: navigation, people, keys
LOOKS = [(size, theme) for size in SIZES for theme in THEMES]

HAS_FOCUS = "element => element === document.activeElement"
IS_SEEN_TO_HAVE_IT = """element => {
    const box = element.getBoundingClientRect();
    const shown = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
    const styles = [element, element.parentElement].map(each => getComputedStyle(each));
    const marked = styles.some(each => each.outlineStyle !== "none" || each.boxShadow !== "none");
    return shown && marked;
}"""


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until the target has the focus."""
    for _ in range(TABS_AT_MOST):
        if target.evaluate(HAS_FOCUS):
            break
        page.keyboard.press("Tab")
    expect(target).to_be_focused()
    assert target.evaluate(IS_SEEN_TO_HAVE_IT), target


def enter(page: Page, role: str, name: str) -> None:
    """Go to the link or button, press Enter, and wait for the next page."""
    tab_to(page, page.get_by_role(role, name=name, exact=True))  # type: ignore[arg-type]
    with page.expect_navigation():
        page.keyboard.press("Enter")


def write(page: Page, label: str, text: str) -> None:
    tab_to(page, page.get_by_label(label, exact=True))
    page.keyboard.press("Control+a")
    page.keyboard.type(text)


def keep_picture(page: Page, name: str) -> None:
    """Keep a screenshot in the folder SCREENSHOTS, if it is set."""
    if folder := os.environ.get("SCREENSHOTS"):
        width = page.viewport_size["width"] if page.viewport_size else 0
        is_dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        page.screenshot(
            path=Path(folder) / f"{name}-{width}-{'dark' if is_dark else 'light'}.png",
            full_page=True,
        )


@pytest.fixture(params=LOOKS, ids=lambda look: "-".join(look))
def look(request) -> tuple[str, str]:
    return request.param


def set_look(page: Page, look: tuple[str, str]) -> None:
    size, theme = look
    show_at(page, size)
    page.emulate_media(color_scheme=theme)


def test_a_person_is_erased_with_their_double(page: Page, admin, company, look) -> None:
    ada = make_lead(
        company, first_name="Ada", last_name="Byron", email="ada@example.com"
    )
    make_lead(company, first_name="Ada", last_name="Byron", email="byron@example.com")
    set_look(page, look)
    sign_in(page, admin)
    page.goto(f"{page.server_url}/leads/{ada.pk}/erase/")
    keep_picture(page, "erase")

    tab_to(page, page.get_by_role("checkbox"))
    page.keyboard.press("Space")
    write(page, "Type the lead's name", "Somebody else")
    enter(page, "button", "Erase this person")
    expect(page.get_by_role("alert")).to_be_focused()
    keep_picture(page, "erase-refused")
    write(page, "Type the lead's name", "Ada Byron")
    expect(page.get_by_role("checkbox")).to_be_checked()
    enter(page, "button", "Erase this person")

    assert not Lead.objects.filter(erased_at=None).exists()
    keep_picture(page, "erased")


def test_a_provider_is_set_up(page: Page, admin, server, look) -> None:
    set_look(page, look)
    sign_in(page, admin)
    page.goto(f"{page.server_url}/company/")
    enter(page, "link", "Company sign-in")
    write(page, "Password", PASSWORD)
    enter(page, "button", "Continue")
    keep_picture(page, "provider")
    write(page, "Name", "Okta")
    write(page, "Issuer", "https://okta.example.com:9")
    write(page, "Client id", server.client_id)
    write(page, "Client secret", server.client_secret)
    enter(page, "button", "Save")
    keep_picture(page, "provider-refused")
    write(page, "Issuer", server.issuer)
    write(page, "Client secret", server.client_secret)
    enter(page, "button", "Save")

    expect(page.locator("#messages")).to_contain_text("Okta was saved.")
    keep_picture(page, "provider-saved")


@pytest.mark.parametrize("is_required", [False, True], ids=["offered", "required"])
def test_an_invitation_is_accepted_with_the_provider(
    abroad,
    server,
    admin,
    company,
    look,
    is_required,
) -> None:
    set_look(abroad, look)
    provider = SignInProvider(
        company=company, name="Okta", issuer=server.issuer, client_id=server.client_id
    )
    provider.secret, provider.is_required = server.client_secret, is_required
    provider.save()
    server.person = {
        "sub": "77",
        "email": "grace@example.com",
        "email_verified": True,
        "given_name": "Grace",
    }
    _, token = people.invite(
        company=company,
        email="grace@example.com",
        role=Role.SALES,
        invited_by=admin.user,
    )

    abroad.goto(f"{abroad.server_url}/invitations/{token}/")
    keep_picture(abroad, f"invitation-{'required' if is_required else 'offered'}")
    tab_to(abroad, abroad.get_by_role("button", name="Continue with Okta"))
    abroad.keyboard.press("Enter")

    expect(abroad.get_by_role("heading", level=1, name="My day")).to_be_visible()
    expect(abroad.locator("#messages")).to_contain_text("Welcome to Northwind BV.")


def test_what_was_typed_survives_an_outage(
    page: Page, sales, company, look, monkeypatch
) -> None:
    lead = make_lead(company)
    too_slow = OperationalError()
    too_slow.__cause__ = QueryCanceled()

    def take_too_long(form: LeadForm) -> None:
        raise too_slow

    set_look(page, look)
    page.refusals.add(503)
    sign_in(page, sales)
    page.goto(f"{page.server_url}/leads/{lead.pk}/edit/")
    write(page, "Phone", "+31 6 1111 1111")
    with monkeypatch.context() as slow:
        slow.setattr(LeadForm, "clean", take_too_long)
        enter(page, "button", "Save")
    expect(
        page.get_by_role("heading", level=1, name="That took too long")
    ).to_be_visible()
    keep_picture(page, "took-too-long")
    expect(page.get_by_text("What you typed is still in the form")).to_be_visible()
    page.go_back()
    expect(page.get_by_label("Phone", exact=True)).to_have_value("+31 6 1111 1111")
    enter(page, "button", "Save")

    lead.refresh_from_db()
    assert lead.phone == "+31 6 1111 1111"
