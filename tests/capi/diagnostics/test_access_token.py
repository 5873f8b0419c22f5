"""The doctor on the access token: saved, readable, accepted by LinkedIn, and for how long."""

from datetime import date, timedelta

import pytest
from cryptography.fernet import Fernet

from capi import services
from capi.diagnostics import setup
from capi.models import Connection
from tests.capi.diagnostics.conftest import about, levels, rows_of
from tests.conftest import TOKEN

pytestmark = pytest.mark.django_db

TODAY = date(2026, 11, 25)


def found(company):
    connection = Connection.objects.for_company(company).first()
    return list(setup.token_findings(connection, rows_of(company), TODAY))


@pytest.fixture
def saved(company) -> Connection:
    return services.save_token(company=company, token=TOKEN)


def test_a_company_that_has_not_begun_is_no_emergency(company) -> None:
    (finding,) = setup.token_findings(None, [], TODAY)

    assert (finding.check, finding.level) == ("token", "amber")
    assert finding.sentence == "No access token is saved."
    assert finding.fix == "Paste one on the LinkedIn page (step 1)."
    assert finding.link == "/integrations/linkedin/#connect"


def test_an_active_rule_without_a_token_is(company, make_rule) -> None:
    make_rule()

    assert levels(found(company)) == [("token", "red")]


def test_a_rule_that_is_off_needs_no_token(company, make_rule) -> None:
    make_rule(is_active=False)

    assert levels(found(company)) == [("token", "amber")]


def test_a_saved_token_is_opened_and_told_by_its_fingerprint(company, saved) -> None:
    finding = about(found(company), "token")

    assert (finding.level, finding.sentence) == (
        "green",
        "Saved and readable, fingerprint eb5b0f3c.",
    )


def test_a_token_that_no_key_opens_is_to_be_mended(company, saved, settings) -> None:
    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]

    finding = about(found(company), "token")

    assert finding.level == "red"
    assert (
        finding.sentence
        == "The saved access token can't be decrypted with this installation's keys."
    )
    assert "LEADMACHINE_TOKEN_KEYS" in finding.fix


def test_a_token_that_linkedin_refused_says_so(company, saved) -> None:
    Connection.objects.update(is_paused=True, paused_reason="token_refused")

    finding = about(found(company), "token")

    assert finding.level == "red"
    assert (
        finding.sentence
        == "LinkedIn says 401: the access token is expired, revoked or invalid."
    )


def test_a_retired_version_is_not_the_tokens_fault(company, saved) -> None:
    Connection.objects.update(is_paused=True, paused_reason="version_retired")

    assert about(found(company), "token").level == "green"


@pytest.mark.parametrize(
    ("days", "level", "sentence"),
    [
        (15, "green", "The access token expires on 10 December 2026, in 15 days."),
        (14, "amber", "The access token expires on 9 December 2026, in 14 days."),
        (4, "amber", "The access token expires on 29 November 2026, in 4 days."),
        (3, "red", "The access token expires on 28 November 2026, in 3 days."),
        (1, "red", "The access token expires on 26 November 2026, tomorrow."),
        (0, "red", "The access token was due to expire on 25 November 2026, today."),
        (-1, "red", "The access token was due to expire on 24 November 2026."),
    ],
)
def test_a_date_that_comes_near_is_told(company, saved, days, level, sentence) -> None:
    Connection.objects.update(token_expires_on=TODAY + timedelta(days=days))

    finding = about(found(company), "expiry")

    assert (finding.level, finding.sentence) == (level, sentence)


def test_without_a_date_there_is_nothing_to_fear(company, saved) -> None:
    finding = about(found(company), "expiry")

    assert (finding.level, finding.sentence) == ("green", setup.NO_DATE)
