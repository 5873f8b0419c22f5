"""The doctor on the ad account."""

import pytest

from capi import services
from capi.doctor import account
from capi.models import Connection
from tests.capi.doctor.conftest import rows_of
from tests.conftest import TOKEN

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]


def finding(company):
    (found,) = account.findings(Connection.objects.for_company(company).first(), rows_of(company))
    return found


def test_an_account_that_was_entered_is_named(company) -> None:
    services.save_token(company=company, token=TOKEN, ad_account_id="512345678")

    found = finding(company)

    assert (found.level, found.sentence) == ("green", "It is 512345678.")


def test_without_one_the_rules_can_not_be_looked_up(company) -> None:
    services.save_token(company=company, token=TOKEN)

    found = finding(company)

    assert (found.level, found.sentence) == ("amber", account.NOT_GIVEN)


def test_where_no_rule_answers_to_the_token_the_account_is_suspect(company, make_rule) -> None:
    services.save_token(company=company, token=TOKEN, ad_account_id="512345678")
    make_rule("lead_created", "104011", is_paused=True, paused_reason="rule_forbidden")
    make_rule("deal_won", "104012", is_paused=True, paused_reason="rule_forbidden")
    make_rule("deal_lost", "104013", is_active=False)

    found = finding(company)

    assert found.level == "red"
    assert found.sentence.startswith("No rule answers to the token. LinkedIn says 403")


def test_one_rule_that_does_clears_the_account(company, make_rule) -> None:
    services.save_token(company=company, token=TOKEN, ad_account_id="512345678")
    make_rule("lead_created", "104011", is_paused=True, paused_reason="rule_forbidden")
    make_rule("deal_won", "104012")

    assert finding(company).level == "green"
