"""S28: the forms that save and remove an access token are shown only to sessions that recently confirmed their user."""

import time
from typing import Any

import pytest
from django.urls import reverse

from capi import services
from capi.models import Connection
from capi.models.token import fingerprint
from crm.models import ApiKey, Invitation
from crm.models.roles import Role
from crm.services import people
from tests.conftest import PASSWORD, TOKEN, give_password, join
from tests.crm.accounts.conftest import link

pytestmark = pytest.mark.django_db

SAVE, REMOVE = "/integrations/linkedin/token/", "/integrations/linkedin/token/remove/"


def minutes_pass(monkeypatch: pytest.MonkeyPatch, minutes: float) -> None:
    later = time.time() + 60 * minutes
    monkeypatch.setattr("crm.accounts.fresh_password.time.time", lambda: later)


def is_saved() -> bool:
    return Connection.objects.filter(token_fingerprint=fingerprint(TOKEN)).exists()


@pytest.mark.parametrize("address", [SAVE, REMOVE])
def test_the_password_is_asked_for_before_the_form_is_shown(
    client_as: Any, admin: Any, address: str
) -> None:
    client = client_as(admin)

    asked = client.get(address)
    back = client.post(asked.url, {"password": PASSWORD, "next": address})

    assert asked.url == f"/account/confirm/?next={address}"
    assert back.url == address
    assert client.get(address).status_code == 200


def test_a_token_posted_without_one_is_not_saved_and_not_kept(
    client_as: Any, admin: Any
) -> None:
    client = client_as(admin)

    answer = client.post(SAVE, {"token": TOKEN, "ad_account_id": "512345678"})

    assert answer.url == f"/account/confirm/?next={SAVE}"
    assert not Connection.objects.exists()
    assert TOKEN not in str(dict(client.session))
    assert TOKEN not in client.get(answer.url).content.decode()


def test_nothing_is_removed_without_one(
    client_as: Any, admin: Any, company: Any
) -> None:
    services.save_token(company=company, token=TOKEN)

    answer = client_as(admin).post(REMOVE)

    assert answer.url == f"/account/confirm/?next={REMOVE}"
    assert is_saved()


def test_a_wrong_password_opens_nothing(client_as: Any, admin: Any) -> None:
    client = client_as(admin)

    client.post("/account/confirm/", {"password": "wrong", "next": SAVE})
    client.post(SAVE, {"token": TOKEN})

    assert not Connection.objects.exists()


def test_one_opens_forms_for_five_minutes(
    client_as: Any, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = give_password(client_as(admin))

    minutes_pass(monkeypatch, 5.1)

    assert client.get(SAVE).status_code == 302
    client.post(SAVE, {"token": TOKEN})
    assert not Connection.objects.exists()


@pytest.mark.parametrize(("minutes", "saved"), [(29, True), (31, False)])
def test_an_open_form_waits_half_an_hour_for_its_token(
    client_as: Any,
    admin: Any,
    monkeypatch: pytest.MonkeyPatch,
    minutes: int,
    saved: bool,
) -> None:
    client = give_password(client_as(admin))
    client.get(SAVE)

    minutes_pass(monkeypatch, minutes)
    client.post(SAVE, {"token": TOKEN})

    assert is_saved() == saved


def test_what_is_no_secret_is_still_there_after_the_password(
    client_as: Any, admin: Any
) -> None:
    client = client_as(admin)
    client.post(
        SAVE, {"token": TOKEN, "ad_account_id": "51 23", "expires_on": "2190-01-01"}
    )

    give_password(client)
    page = client.get(SAVE).content.decode()

    assert 'value="51 23"' in page
    assert 'value="2190-01-01"' in page
    # It is shown only once.
    assert 'value="51 23"' not in client.get(SAVE).content.decode()


def test_signing_in_is_giving_it(client: Any, admin: Any) -> None:
    client.post("/login/", {"username": admin.user.email, "password": PASSWORD})

    client.post(SAVE, {"token": TOKEN})

    assert is_saved()


def test_signing_up_and_confirming_the_address_is_giving_it(
    client: Any, db: None, settings: Any
) -> None:
    settings.SIGNUP, settings.SITE_URL = True, "https://crm.example.com"
    company = {"company": "Fabrikam BV", "currency": "EUR", "time_zone": "UTC"}
    names = {"first_name": "Ada", "last_name": "Byron"}
    client.post(
        "/signup/",
        {**company, **names, "email": "ada@example.com", "password1": PASSWORD},
    )

    client.post(link())

    assert client.get(SAVE).status_code == 200


def test_accepting_an_invitation_with_a_new_password_is_giving_it(
    client: Any, admin: Any, company: Any
) -> None:
    asked = {
        "company": company,
        "email": "grace@example.com",
        "role": "admin",
        "invited_by": admin.user,
    }
    _, token = people.invite(**asked)

    names = {"first_name": "Grace", "last_name": "Hopper"}
    client.post(reverse("invitation", args=[token]), {**names, "password": PASSWORD})

    assert client.get(SAVE).status_code == 200


# Forms on pages that are shown without a password: it is asked for when they are submitted, and their values are kept.

KEYS, PEOPLE = "/company/api-keys/new/", "/company/people/"


@pytest.mark.covers("S28")
def test_an_api_key_is_made_after_the_password(client_as: Any, admin: Any) -> None:
    client = client_as(admin)

    asked = client.post(KEYS, {"name": "Website form", "role": "ops"})
    made_without = ApiKey.objects.count()
    give_password(client)
    page = client.get("/company/").content.decode()
    client.post(KEYS, {"name": "Website form", "role": "ops"})

    assert (asked.url, made_without) == ("/account/confirm/?next=/company/", 0)
    assert 'value="Website form"' in page
    assert '<option value="ops" selected>' in page
    assert ApiKey.objects.get().name == "Website form"


@pytest.mark.covers("S28")
def test_an_admin_is_invited_after_the_password_and_others_without(
    client_as: Any, admin: Any
) -> None:
    client = client_as(admin)

    asked = client.post(PEOPLE, {"email": "grace@example.com", "role": "admin"})
    client.post(PEOPLE, {"email": "sam@example.com", "role": "sales"})
    invited = list(Invitation.objects.values_list("email", flat=True))
    give_password(client)
    page = client.get(PEOPLE).content.decode()
    client.post(PEOPLE, {"email": "grace@example.com", "role": "admin"})

    assert (asked.url, invited) == (
        f"/account/confirm/?next={PEOPLE}",
        ["sam@example.com"],
    )
    assert 'value="grace@example.com"' in page
    assert Invitation.objects.filter(email="grace@example.com", role="admin").exists()


@pytest.mark.covers("S28")
@pytest.mark.parametrize("role", ["admin", "ops"])
def test_an_invitation_is_sent_again_as_it_was_sent_first(
    client_as: Any, admin: Any, company: Any, role: str
) -> None:
    """An expired link is made to work again: one for an admin with the password, others without."""
    asked = {
        "company": company,
        "email": "grace@example.com",
        "role": role,
        "invited_by": admin.user,
    }
    invitation, _ = people.invite(**asked)
    Invitation.objects.update(sent_at="2026-01-01T00:00Z")

    client_as(admin).post(f"/company/invitations/{invitation.pk}/resend/")
    without = not Invitation.objects.get().has_run_out
    give_password(client_as(admin)).post(
        f"/company/invitations/{invitation.pk}/resend/"
    )

    assert without == (role == "ops")
    assert not Invitation.objects.get().has_run_out


@pytest.mark.covers("S28")
@pytest.mark.parametrize("role", ["admin", "ops"])
def test_a_role_is_changed_after_the_password(
    client_as: Any, admin: Any, sales: Any, role: str
) -> None:
    client, path = client_as(admin), f"{PEOPLE}{sales.pk}/role/"

    asked = client.post(path, {"role": role})
    sales.refresh_from_db()
    before = sales.role
    give_password(client)
    client.post(path, {"role": role})

    sales.refresh_from_db()
    assert (asked.url, before, sales.role) == (
        f"/account/confirm/?next={PEOPLE}",
        "sales",
        role,
    )


@pytest.mark.covers("S28")
def test_a_former_admin_is_let_in_again_after_the_password(
    client_as: Any, admin: Any, company: Any
) -> None:
    second = join(company, Role.ADMIN, email="second@example.com")
    people.deactivate(membership=second)
    client, path = client_as(admin), f"{PEOPLE}{second.pk}/reactivate/"

    client.post(path)
    second.refresh_from_db()
    before = second.is_active
    give_password(client)
    client.post(path)

    second.refresh_from_db()
    assert (before, second.is_active) == (False, True)
