"""Step 1 on the LinkedIn page: the token goes in, and never comes out again."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from capi import services
from capi.models import Connection, ConversionEvent
from tests.conftest import TOKEN, give_password, make_lead

pytestmark = pytest.mark.django_db

PAGE, SAVE, REMOVE = reverse("linkedin"), reverse("token_save"), reverse("token_remove")


@pytest.fixture
def web(client_as, admin):
    return give_password(client_as(admin))


def test_a_pasted_token_is_saved_without_the_white_space_around_it(web, company, admin) -> None:
    answer = web.post(SAVE, {"token": f"  {TOKEN}\n", "ad_account_id": "urn:li:sponsoredAccount:512345678"})

    connection = Connection.objects.for_company(company).get()
    assert answer.url == PAGE
    assert (connection.token_last_four, connection.ad_account_id) == (TOKEN[-4:], "512345678")
    assert connection.token_saved_by == admin.user


def test_after_saving_the_page_shows_the_last_four_and_never_the_token(web, company, admin) -> None:
    services.save_token(company=company, token=TOKEN, user=admin.user, ad_account_id="512345678")

    page = web.get(PAGE).content.decode()

    assert f"ends in <code>{TOKEN[-4:]}</code>" in page
    assert "by Admin Jansen" in page
    assert "<code>202609</code>" in page
    assert TOKEN not in page
    assert '<input type="password" name="token" autocomplete="off"' in page
    assert "value=" not in page.split('<input type="password"')[1].split(">")[0]


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("", "Paste the access token from Campaign Manager."),
        ("   ", "Paste the access token from Campaign Manager."),
        ("SecretSecretSecret\nSecretSecretSecret", "An access token is one line of ASCII characters without spaces."),
        ("SecretSecretSecretßSecret", "An access token is one line of ASCII characters without spaces."),
        ("SecretSecretSecret\x07Secret", "An access token is one line of ASCII characters without spaces."),
        ("SecretSecretSecret\x00Secret", "Null characters are not allowed."),
        ("Secret", "An access token has 20 to 2048 characters."),
        ("Secret" * 400, "An access token has 20 to 2048 characters."),
    ],
)
def test_what_can_be_no_token_is_refused_and_not_repeated(web, token, message) -> None:
    page = web.post(SAVE, {"token": token}).content.decode()

    assert message in page
    assert "SecretSecret" not in page
    assert not Connection.objects.exists()


@pytest.mark.parametrize("account", ["51 23", "abc", "-5", "0", "9" * 20, "9" * 101])
def test_what_can_be_no_account_id_is_refused(web, account) -> None:
    page = web.post(SAVE, {"token": TOKEN, "ad_account_id": account})

    assert page.context["token_form"].errors.keys() == {"ad_account_id"}
    assert TOKEN not in page.content.decode()
    assert not Connection.objects.exists()


def test_only_what_was_on_hold_is_said_to_go_out(web, company, make_rule) -> None:
    first = web.post(SAVE, {"token": TOKEN}, follow=True).content.decode()
    services.remove_token(company=company)
    make_rule("lead_created")
    make_lead(company)

    second = web.post(SAVE, {"token": TOKEN}, follow=True).content.decode()

    assert "Access token saved." in first
    assert "Events on hold are being sent now." not in first
    assert "Access token saved. Events on hold are being sent now." in second


def test_removing_asks_first_and_keeps_the_events(web, company, make_rule) -> None:
    services.save_token(company=company, token=TOKEN)
    make_rule("lead_created")
    make_lead(company)

    question = web.get(REMOVE).content.decode()
    asked = Connection.objects.for_company(company).get()
    web.post(REMOVE)

    assert "Remove the access token?" in question
    assert asked.has_token
    assert not Connection.objects.for_company(company).get().has_token
    assert ConversionEvent.objects.get().state == "pending"


def test_a_new_token_lets_a_paused_connection_go_on(web, company) -> None:
    services.save_token(company=company, token=TOKEN)
    Connection.objects.update(is_paused=True, paused_reason="token_refused")

    web.post(SAVE, {"token": TOKEN})

    assert Connection.objects.get().is_sending


def test_resume_lets_a_paused_connection_go_on(web, company) -> None:
    services.save_token(company=company, token=TOKEN)
    Connection.objects.update(is_paused=True, paused_reason="token_refused")

    answer = web.post(reverse("connection_resume"))

    assert answer.url == PAGE
    assert Connection.objects.get().is_sending


def test_an_expiry_date_is_kept_and_shown_as_days_left(web, company) -> None:
    day = timezone.localdate() + timedelta(days=10)

    web.post(SAVE, {"token": TOKEN, "expires_on": day.isoformat()})
    page = web.get(PAGE).content.decode()

    assert Connection.objects.for_company(company).get().token_expires_on == day
    assert '<span class="badge wait">10 days left</span>' in page


def test_a_token_without_a_date_has_none_also_after_one_that_had(web, company) -> None:
    web.post(SAVE, {"token": TOKEN, "expires_on": "2190-01-01"})

    web.post(SAVE, {"token": TOKEN})

    assert Connection.objects.for_company(company).get().token_expires_on is None
    assert "<dt>Expires</dt>" not in web.get(PAGE).content.decode()


def test_a_date_that_is_over_is_shown_as_over(web, company) -> None:
    services.save_token(company=company, token=TOKEN, expires_on=timezone.localdate())

    assert '<span class="badge bad">Over</span>' in web.get(PAGE).content.decode()


@pytest.mark.parametrize("day", ["yesterday", "2026-02-30", "0000-01-01", "1999-12-31", "2200-01-01", "2020-01-01"])
def test_what_can_be_no_expiry_date_is_refused(web, day) -> None:
    page = web.post(SAVE, {"token": TOKEN, "expires_on": day})

    assert page.context["token_form"].errors.keys() == {"expires_on"}
    assert TOKEN not in page.content.decode()
    assert not Connection.objects.exists()


def test_a_token_that_ends_today_is_refused(web) -> None:
    page = web.post(SAVE, {"token": TOKEN, "expires_on": timezone.localdate().isoformat()})

    assert page.context["token_form"].errors == {"expires_on": ["This token has expired or expires today."]}
