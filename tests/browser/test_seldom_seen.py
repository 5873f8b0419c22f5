"""Pages that people see by accident or only once: errors, invitations, second factors. At both sizes, in both themes,
axe finds nothing on any of them, the CSP is kept, and nothing is requested from another machine."""

import pytest
from allauth.account.models import EmailAddress, EmailConfirmationHMAC
from django.db import OperationalError
from psycopg.errors import QueryCanceled

from crm.forms.leads import LeadForm
from crm.models import Deal, Lead, Membership
from crm.models.lead import PersonErased
from crm.models.roles import Role
from crm.services.companies import deactivate_company, reactivate_company
from crm.services.erasure import erase_lead
from crm.services.people import invite
from tests.browser.looks import assert_fit_to_use_in_each_look
from tests.browser.test_accounts import _site, newest_link, press  # noqa: F401 - mails lead to the live server
from tests.conftest import PASSWORD, code_now, join, make_deal, make_lead, sign_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.thorough]


def look(page, path: str, *, status: int = 200, heading: str) -> None:
    """Open this path, and check the page."""
    page.refusals.add(status)
    assert (
        page.goto(page.server_url + path.removeprefix(page.server_url)).status == status
    )
    look_at(page, heading)


def look_at(page, heading: str) -> None:
    assert page.get_by_role("heading", level=1).inner_text() == heading
    assert_fit_to_use_in_each_look(page)


def send(page, path: str, button: str, *, heading: str) -> None:
    """Submit the form at this path, and check the page that follows."""
    page.goto(page.server_url + path)
    press(page, button)
    look_at(page, heading)


def test_no_error_page_has_a_finding(
    page, company, sales, monkeypatch, settings
) -> None:
    page.refusals.update({403, 409, 429, 500, 503})
    too_slow = OperationalError()
    too_slow.__cause__ = QueryCanceled()
    sign_in(page, sales)
    edit = f"/leads/{make_lead(company).pk}/edit/"

    look(page, "/company/", status=403, heading="You don't have access")
    look(page, "/nowhere/", status=404, heading="Page not found")
    for error, heading in (
        (PersonErased(), "Not saved"),
        (too_slow, "That took too long"),
        (RuntimeError("a fault"), "Something went wrong"),
    ):
        monkeypatch.setattr(
            LeadForm, "clean", lambda form, error=error: raise_it(error)
        )
        send(page, edit, "Save", heading=heading)
    page.goto(page.server_url + edit)
    page.context.clear_cookies(name=settings.CSRF_COOKIE_NAME)
    press(page, "Save")
    look_at(page, "Please try again")
    page.context.clear_cookies()
    settings.ACCOUNT_RATE_LIMITS = {"reset_password": "1/h/ip"}
    for _ in range(2):
        page.goto(page.server_url + "/password/reset/")
        page.get_by_label("E-mail address").fill("sales@example.com")
        press(page, "Send the link")
    look_at(page, "Too many attempts")


def raise_it(error: Exception) -> None:
    raise error


def test_no_page_of_an_invitation_has_a_finding(
    page, company, other_company, admin, settings
) -> None:
    def link(email: str) -> str:
        return f"/invitations/{invite(company=company, email=email, role='ops', invited_by=admin.user)[1]}/"

    guest = join(other_company, Role.SALES, email="guest@example.com")

    look(page, link("new@example.com"), heading="Join Northwind BV")
    look(page, own := link("guest@example.com"), heading="Join Northwind BV")
    look(
        page,
        "/invitations/nonsense/",
        status=404,
        heading="This invitation no longer works",
    )
    sign_in(page, guest)
    look(page, own, heading="Join Northwind BV")
    look(
        page,
        link("somebody@example.com"),
        status=403,
        heading="This invitation is for someone else",
    )
    Membership.objects.create(company=company, user=guest.user, role=Role.SALES)
    look(page, own, status=403, heading="Northwind BV has already added you")
    settings.SIGNUP = False
    page.context.clear_cookies()
    look(page, "/signup/", heading="Sign-up is by invitation only")


def test_no_page_without_a_company_has_a_finding(page, company, sales) -> None:
    sign_in(page, sales)

    deactivate_company(company=company)
    look(page, "/", status=403, heading="Northwind BV is deactivated")
    Membership.objects.update(is_active=False)
    look(page, "/", status=403, heading="You aren't in a company yet")
    reactivate_company(company=company)
    look(page, "/", status=403, heading="Your access was removed")


def test_no_page_of_a_second_factor_or_of_a_link_in_a_mail_has_a_finding(
    page, sales, settings
) -> None:
    sign_in(page, sales)
    page.goto(page.server_url + "/account/app/on/")
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Continue")
    look_at(page, "Set up an authenticator app")
    secret = page.locator("code").inner_text()
    page.get_by_label("Code").fill(code_now(secret))
    press(page, "Switch on")
    look_at(page, "Recovery codes")  # they are shown only this once
    look(page, "/account/recovery-codes/", heading="Recovery codes")
    look(page, "/account/recovery-codes/new/", heading="Create new recovery codes?")
    look(page, "/account/app/off/", heading="Switch off the authenticator app?")

    page.context.clear_cookies()
    page.goto(page.server_url + "/login/")
    page.get_by_label("E-mail address").fill("sales@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Sign in")
    look_at(page, "Enter your code")

    page.context.clear_cookies()
    page.goto(page.server_url + "/password/reset/")
    page.get_by_label("E-mail address").fill("sales@example.com")
    press(page, "Send the link")
    look(page, newest_link(), heading="Choose a new password")
    address = EmailAddress.objects.create(user=sales.user, email="new@example.com")
    look(
        page,
        f"/confirm-email/{EmailConfirmationHMAC(address).key}/",
        heading="Confirm your e-mail address",
    )


def test_neither_a_new_key_nor_an_erased_person_has_a_finding(
    page, company, admin
) -> None:
    sign_in(page, admin)
    lead = make_lead(company)
    deal = make_deal(lead)
    erase_lead(lead=lead)

    look(page, f"/leads/{lead.pk}/", heading=str(Lead.objects.get()))
    look(page, f"/deals/{deal.pk}/", heading=str(Deal.objects.get()))
    page.goto(page.server_url + "/company/")
    own = page.locator("#api-keys")
    own.get_by_label("Name").fill("Website form")
    own.get_by_label("Role").select_option("sales")
    press(page, "Create key")
    look_at(page, "Confirm it's you")
    page.get_by_label("Password").fill(PASSWORD)
    press(page, "Continue")
    press(page, "Create key")  # with what was filled in before
    look_at(page, "Website form")
