"""S49: a database that came back without the keys: all runs on, and says whose token must be entered again."""

from typing import Any

import pytest
from cryptography.fernet import Fernet

from capi import services
from capi.models import Connection, ConversionEvent
from capi.tasks import deliver
from tests.conftest import TOKEN, give_password, make_lead

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_token_whose_key_is_lost_pauses_its_connection_until_a_new_one_comes(
    company: Any, admin: Any, client_as: Any, settings: Any
) -> None:
    services.save_token(company=company, token=TOKEN)
    company.conversion_rules.create(crm_event="lead_created", linkedin_id="1", name="New")
    make_lead(company)
    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]

    deliver(company.pk)
    web = give_password(client_as(admin))
    page = web.get("/integrations/linkedin/").content.decode()

    connection = Connection.objects.get()
    event = ConversionEvent.objects.get()
    assert (connection.is_paused, connection.paused_reason) == (True, "token_unreadable")
    assert (event.state, event.attempts) == ("pending", 0)
    assert "The saved access token can" in page
    assert [web.get(path).status_code for path in ("/", "/leads/", "/integrations/linkedin/events/")] == [200] * 3

    web.post("/integrations/linkedin/token/", {"token": TOKEN})

    assert not Connection.objects.get().is_paused
