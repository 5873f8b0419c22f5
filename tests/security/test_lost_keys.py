"""S49: a database restored without the keys: everything still runs, and says whose token must be entered again."""

from typing import Any

import pytest
from cryptography.fernet import Fernet

from capi import services
from capi.models import Connection, ConversionEvent
from capi.tasks import deliver
from crm.models import crypto
from tests.capi.conftest import received, states
from tests.conftest import TOKEN, give_password, make_lead
from tests.fixtures import GOOD_RULE

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.covers("F71", "S49")]


def test_a_token_whose_key_is_lost_pauses_its_connection_until_a_new_one_comes(
    company: Any, admin: Any, client_as: Any, settings: Any
) -> None:
    services.save_token(company=company, token=TOKEN)
    company.conversion_rules.create(
        crm_event="lead_created", linkedin_id="1", name="New"
    )
    make_lead(company)
    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]

    deliver(company.pk)
    web = give_password(client_as(admin))
    page = web.get("/integrations/linkedin/").content.decode()

    connection = Connection.objects.get()
    event = ConversionEvent.objects.get()
    assert (connection.is_paused, connection.paused_reason) == (
        True,
        "token_unreadable",
    )
    assert (event.state, event.attempts) == ("pending", 0)
    assert "The saved access token can" in page
    assert [
        web.get(path).status_code
        for path in ("/dashboard/", "/leads/", "/integrations/linkedin/events/")
    ] == [200] * 3

    web.post("/integrations/linkedin/token/", {"token": TOKEN})

    assert not Connection.objects.get().is_paused


def test_the_log_says_which_keys_there_are_and_when_the_lost_one_was_in_use(
    company: Any, settings: Any, caplog: Any
) -> None:
    services.save_token(company=company, token=TOKEN)
    company.conversion_rules.create(
        crm_event="lead_created", linkedin_id="1", name="New"
    )
    make_lead(company)
    settings.TOKEN_KEYS = [
        Fernet.generate_key().decode(),
        Fernet.generate_key().decode(),
    ]

    deliver(company.pk)

    said = [
        record.getMessage() for record in caplog.records if record.levelname == "ERROR"
    ]
    assert len(said) == 1
    assert f"company {company.pk} can't be opened" in said[0]
    assert "It was encrypted on 2" in said[0]
    assert (
        f"(which has {', '.join(map(crypto.fingerprint, settings.TOKEN_KEYS))})"
        in said[0]
    )
    assert TOKEN[:12] not in caplog.text


def test_another_company_whose_key_is_there_is_sent(
    company: Any, other_company: Any, settings: Any, sandbox: Any
) -> None:
    for each in (company, other_company):
        each.conversion_rules.create(
            crm_event="lead_created", linkedin_id=GOOD_RULE, name="New"
        )
        make_lead(each)
    services.save_token(company=company, token=TOKEN)
    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]
    services.save_token(company=other_company, token=TOKEN)

    for each in (company, other_company):
        deliver(each.pk)

    assert (states(company), states(other_company)) == (["pending"], ["accepted"])
    assert len(received(sandbox)) == 1


def test_the_pages_that_would_ask_linkedin_say_so_and_ask_nothing(
    company: Any, admin: Any, client_as: Any, settings: Any, sandbox: Any
) -> None:
    services.save_token(company=company, token=TOKEN, ad_account_id="512345678")
    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]
    web = client_as(admin)

    pages = [
        web.post("/integrations/linkedin/rules/import/", {"read": "1"}, follow=True),
        web.post("/integrations/linkedin/check/", follow=True),
    ]

    assert [page.status_code for page in pages] == [200, 200]
    assert all("The saved access token can" in page.content.decode() for page in pages)
    assert sandbox.ledger.tail(10) == []
