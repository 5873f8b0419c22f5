"""Asking LinkedIn about the rules of a company's ad account, with its encrypted token and this thread's client."""

import pytest

from capi import services
from capi.delivery.linkedin_rules import fetch_rules
from capi.linkedin.rules import ReadStatus
from capi.models import Connection
from capi.models.token import UnreadableToken

pytestmark = pytest.mark.django_db


def saved(
    company, token="AQX-good-token-0123456789", account="512345678"
) -> Connection:
    return services.save_token(company=company, token=token, ad_account_id=account)


def test_the_rules_of_the_ad_account_come_back(company, sandbox) -> None:
    read = fetch_rules(saved(company))

    assert (read.outcome, len(read.rules)) == (ReadStatus.FOUND, 12)
    (entry,) = sandbox.ledger.tail(10)
    assert (entry.method, entry.status, entry.version) == ("GET", 200, "202609")


@pytest.mark.parametrize(
    ("word", "outcome"),
    [("revoked", ReadStatus.TOKEN_REFUSED), ("sendonly", ReadStatus.CANNOT_TELL)],
)
def test_asking_changes_nothing_here_whatever_the_answer_is(
    company, sandbox, word, outcome
) -> None:
    connection = saved(company, token=f"AQX-{word}-token-0123456789")
    before = Connection.objects.values().get()

    read = fetch_rules(connection)

    assert read.outcome == outcome
    assert Connection.objects.values().get() == before


def test_a_token_that_can_not_be_opened_is_never_sent(company, sandbox) -> None:
    connection = saved(company)
    connection.sealed_token = "gAAAA-of-another-key"

    with pytest.raises(UnreadableToken):
        fetch_rules(connection)

    assert sandbox.ledger.tail(10) == []
