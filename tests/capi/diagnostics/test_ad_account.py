"""The doctor on the ad account."""

from datetime import timedelta

import pytest

from capi import services
from capi.diagnostics import setup
from capi.diagnostics.findings import moment
from capi.models import Connection
from tests.capi.diagnostics.conftest import log, rows_of
from tests.conftest import TOKEN

pytestmark = pytest.mark.django_db


def finding(company):
    (found,) = setup.account_findings(
        Connection.objects.for_company(company).first(), rows_of(company)
    )
    return found


@pytest.fixture
def connected(company) -> Connection:
    return services.save_token(company=company, token=TOKEN, ad_account_id="512345678")


def test_an_account_that_linkedin_has_not_answered_for_can_not_be_told(
    company, connected, make_rule
) -> None:
    # With the previous token.
    log(
        make_rule(),
        "accepted",
        settled_at=connected.token_saved_at - timedelta(seconds=1),
    )

    found = finding(company)

    assert found.level == "unknown"
    assert (
        found.sentence
        == "Account 512345678. LinkedIn has not confirmed it since the token was saved."
    )


@pytest.mark.parametrize("is_test", [False, True])
def test_one_that_takes_events_is_connected_and_the_moment_is_told(
    company, connected, make_rule, is_test
) -> None:
    at = connected.token_saved_at + timedelta(seconds=1)
    log(make_rule(), "accepted", is_test=is_test, settled_at=at)

    found = finding(company)

    assert found.level == "green"
    assert (
        found.sentence
        == f"Account 512345678, last confirmed by LinkedIn on {moment(at)}."
    )


def test_one_whose_rules_linkedin_listed_is_connected(
    company, connected, make_rule
) -> None:
    make_rule(linkedin_read_at=connected.token_saved_at + timedelta(seconds=1))

    assert finding(company).level == "green"


@pytest.mark.parametrize(
    ("changes", "fix"),
    [
        ({"sealed_token": ""}, "Paste one on the LinkedIn page (step 1)."),
        (
            {"is_paused": True, "paused_reason": "token_refused"},
            "Generate a new token in Campaign Manager and save it",
        ),
    ],
)
def test_while_nothing_is_sent_it_can_not_be_told(
    company, connected, make_rule, changes, fix
) -> None:
    log(
        make_rule(),
        "accepted",
        settled_at=connected.token_saved_at + timedelta(seconds=1),
    )
    Connection.objects.update(**changes)

    found = finding(company)

    assert found.level == "unknown"
    assert (
        found.sentence
        == "Account 512345678. It can't be checked while nothing is sent."
    )
    assert found.fix.startswith(fix)


def test_without_one_the_rules_can_not_be_looked_up(company) -> None:
    services.save_token(company=company, token=TOKEN)

    found = finding(company)

    assert (found.level, found.sentence) == ("amber", setup.NOT_GIVEN)
    assert "Press “Import from LinkedIn”" in found.fix


def test_before_there_is_a_token_it_is_entered_with_it(company) -> None:
    found = finding(company)

    assert (found.level, found.sentence) == ("amber", setup.NOT_GIVEN)
    # Step 2 has nothing to press yet.
    assert found.fix == "Enter it in step 1, with the access token."
    assert found.link.endswith("#connect")


def test_where_no_rule_answers_to_the_token_the_account_is_suspect(
    company, make_rule
) -> None:
    services.save_token(company=company, token=TOKEN, ad_account_id="512345678")
    make_rule("lead_created", "104011", is_paused=True, paused_reason="rule_forbidden")
    make_rule("deal_won", "104012", is_paused=True, paused_reason="rule_forbidden")
    make_rule("deal_lost", "104013", is_active=False)

    found = finding(company)

    assert found.level == "red"
    assert found.sentence.startswith(
        "The token can't use any active rule. LinkedIn says 403"
    )


def test_one_rule_that_does_clears_the_account(company, make_rule) -> None:
    services.save_token(company=company, token=TOKEN, ad_account_id="512345678")
    make_rule("lead_created", "104011", is_paused=True, paused_reason="rule_forbidden")
    log(
        make_rule("deal_won", "104012"),
        "accepted",
        settled_at=Connection.objects.get().token_saved_at,
    )

    assert finding(company).level == "green"
