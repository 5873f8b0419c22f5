"""Step 1 on the LinkedIn page: the token goes in, and never comes out again."""

import re
from datetime import date, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from capi import services
from capi.delivery.linkedin_rules import note_confirmed
from capi.models import Connection, ConversionEvent
from capi.models.token import fingerprint
from tests.conftest import TOKEN, give_password, make_lead

pytestmark = pytest.mark.django_db

PAGE, SAVE, REMOVE = reverse("linkedin"), reverse("token_save"), reverse("token_remove")
CSRF = re.compile(r'"X-CSRFToken": "\w+"|name="csrfmiddlewaretoken" value="\w+"')


@pytest.fixture
def web(client_as, admin):
    return give_password(client_as(admin))


def test_a_pasted_token_is_saved_without_the_white_space_around_it(
    web, company, admin
) -> None:
    answer = web.post(
        SAVE,
        {"token": f"  {TOKEN}\n", "ad_account_id": "urn:li:sponsoredAccount:512345678"},
    )

    connection = Connection.objects.for_company(company).get()
    assert answer.url == PAGE
    assert (connection.token_fingerprint, connection.ad_account_id) == (
        fingerprint(TOKEN),
        "512345678",
    )
    assert connection.token_saved_by == admin.user


@pytest.mark.parametrize("address", [PAGE, SAVE, REMOVE])
def test_after_saving_no_page_shows_any_four_characters_of_the_token(
    web, company, admin, address
) -> None:
    services.save_token(
        company=company, token=TOKEN, user=admin.user, ad_account_id="512345678"
    )

    page = CSRF.sub("", web.get(address).content.decode())

    assert fingerprint(TOKEN) in page
    assert [
        TOKEN[at : at + 4] for at in range(len(TOKEN) - 3) if TOKEN[at : at + 4] in page
    ] == []


def test_the_page_says_who_saved_which_token(web, company, admin) -> None:
    services.save_token(
        company=company, token=TOKEN, user=admin.user, ad_account_id="512345678"
    )

    page = web.get(PAGE).content.decode()

    assert f"Saved</span> <code>{fingerprint(TOKEN)}</code>" in page
    assert "Admin Jansen, <time" in page
    assert "<code>202609</code>" in page


def test_the_field_for_the_token_has_no_value(web, company) -> None:
    page = web.post(SAVE, {"token": "too short"}).content.decode()

    assert (
        "value="
        not in page.split('<input type="password" name="token"')[1].split(">")[0]
    )


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("", "Paste the access token from Campaign Manager."),
        ("   ", "Paste the access token from Campaign Manager."),
        (
            "SecretSecretSecret\nSecretSecretSecret",
            "An access token is one line of ASCII characters without spaces.",
        ),
        (
            "SecretSecretSecretßSecret",
            "An access token is one line of ASCII characters without spaces.",
        ),
        (
            "SecretSecretSecret\x07Secret",
            "An access token is one line of ASCII characters without spaces.",
        ),
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
    page = web.post(
        SAVE, {"token": TOKEN, "ad_account_id": account, "expires_on": "2190-01-01"}
    )

    connection = Connection.objects.get()
    assert page.context["form"].errors.keys() == {"ad_account_id"}
    assert TOKEN not in page.content.decode()
    assert (connection.token_fingerprint, connection.ad_account_id) == (
        fingerprint(TOKEN),
        "",
    )
    assert connection.token_expires_on == date(2190, 1, 1)


def test_a_wrong_account_id_costs_no_token(web, company) -> None:
    page = web.post(SAVE, {"token": TOKEN, "ad_account_id": "51 23"}).content.decode()
    answer = web.post(SAVE, {"token": "", "ad_account_id": "5123"})

    connection = Connection.objects.get()
    assert "Access token saved. Please check:" in page
    assert f"Leave it empty to keep the saved token, {fingerprint(TOKEN)}." in page
    assert answer.url == PAGE
    assert (connection.token_fingerprint, connection.ad_account_id) == (
        fingerprint(TOKEN),
        "5123",
    )
    assert connection.token_version == 1


def test_account_and_date_are_changed_without_the_token(web, company) -> None:
    services.save_token(company=company, token=TOKEN, ad_account_id="1")
    form = web.get(SAVE).context["form"]

    web.post(SAVE, {"token": "", "ad_account_id": "2", "expires_on": "2190-01-01"})

    connection = Connection.objects.get()
    assert form["ad_account_id"].initial == "1"
    assert (connection.ad_account_id, connection.token_expires_on) == (
        "2",
        date(2190, 1, 1),
    )
    assert connection.token_version == 1


def test_a_saved_token_is_tried_at_once_where_the_account_is_known(
    web, company, sandbox
) -> None:
    page = web.post(
        SAVE, {"token": TOKEN, "ad_account_id": "512345678"}, follow=True
    ).content.decode()

    assert "Access token saved. LinkedIn accepts it." in page
    assert "Connected</span>, LinkedIn answered <time" in page


def test_what_linkedin_says_against_a_saved_token_is_said_at_once(
    web, company, sandbox
) -> None:
    form = {"token": "AQV-this-one-is-revoked", "ad_account_id": "512345678"}

    page = web.post(SAVE, form, follow=True).content.decode()

    assert "Access token saved. LinkedIn says 401" in page
    assert "Saved, not tested yet" in page


def test_without_an_account_it_is_saved_and_not_tested_yet(
    web, company, sandbox
) -> None:
    page = web.post(SAVE, {"token": TOKEN}, follow=True).content.decode()

    assert "Saved, not tested yet" in page
    assert "Step 1, done" in page


def test_an_answer_to_an_earlier_token_confirms_nothing(company, sandbox) -> None:
    former = services.save_token(
        company=company, token=TOKEN, ad_account_id="512345678"
    )
    services.save_token(company=company, token=TOKEN + "x")

    note_confirmed(former)

    assert Connection.objects.get().token_confirmed_at is None


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

    assert '<span class="badge bad">Expired</span>' in web.get(PAGE).content.decode()


@pytest.mark.parametrize(
    "day",
    ["yesterday", "2026-02-30", "0000-01-01", "1999-12-31", "2200-01-01", "2020-01-01"],
)
def test_what_can_be_no_expiry_date_is_refused(web, day) -> None:
    page = web.post(SAVE, {"token": TOKEN, "expires_on": day})

    assert page.context["form"].errors.keys() == {"expires_on"}
    assert TOKEN not in page.content.decode()
    assert Connection.objects.get().token_expires_on is None


def test_a_token_that_ends_today_is_refused(web) -> None:
    page = web.post(
        SAVE, {"token": TOKEN, "expires_on": timezone.localdate().isoformat()}
    )

    assert page.context["form"].errors == {
        "expires_on": ["This token has expired or expires today."]
    }
