"""Tokens are encrypted under separate keys, each for its own company."""

import pytest
from cryptography.fernet import Fernet
from django.db import connection as database

from capi import services
from capi.models import Connection
from capi.models.token import (
    UnreadableToken,
    fingerprint,
    key_state_of,
    reseal,
    seal,
    unseal,
)
from crm.models.crypto import KeyState
from tests.conftest import TOKEN


def test_what_is_sealed_opens_again_and_is_not_to_be_read() -> None:
    sealed = seal(company_id=7, token=TOKEN)

    assert TOKEN not in sealed
    assert unseal(company_id=7, sealed=sealed) == TOKEN


def test_another_company_s_token_does_not_open() -> None:
    sealed = seal(company_id=7, token=TOKEN)

    with pytest.raises(UnreadableToken):
        unseal(company_id=8, sealed=sealed)


def test_an_unknown_key_or_a_damaged_text_is_said_without_repeating_it(
    settings,
) -> None:
    sealed = seal(company_id=7, token=TOKEN)
    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]

    for text in (sealed, sealed[:-4], "", "plain text", TOKEN):
        with pytest.raises(UnreadableToken) as raised:
            unseal(company_id=7, sealed=text)
        assert not text or text not in str(raised.value)


def test_keys_are_changed_without_losing_a_token(settings) -> None:
    old, new = settings.TOKEN_KEYS[0], Fernet.generate_key().decode()
    sealed = seal(company_id=7, token=TOKEN)

    settings.TOKEN_KEYS = [new, old]
    assert unseal(company_id=7, sealed=sealed) == TOKEN
    assert key_state_of(company_id=7, sealed=sealed) == KeyState.OLDER
    resealed = reseal(company_id=7, sealed=sealed)
    settings.TOKEN_KEYS = [new]

    assert key_state_of(company_id=7, sealed=resealed) == KeyState.NEWEST
    assert unseal(company_id=7, sealed=resealed) == TOKEN


@pytest.mark.django_db
def test_no_column_of_the_database_holds_the_token(company) -> None:
    services.save_token(
        company=company,
        token=f"  {TOKEN}\n",
        ad_account_id="urn:li:sponsoredAccount:512345678",
    )

    connection = Connection.objects.get()
    with database.cursor() as cursor:
        cursor.execute("SELECT * FROM capi_connection")
        row = str(cursor.fetchone())
    assert TOKEN not in row
    assert (connection.token_fingerprint, connection.ad_account_id) == (
        fingerprint(TOKEN),
        "512345678",
    )
    assert TOKEN[-4:] not in row
    assert TOKEN not in f"{connection!r} {connection} {vars(connection)}"
