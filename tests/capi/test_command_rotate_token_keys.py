"""`manage.py rotate_token_keys`: every token under the newest key, none lost, none shown."""

from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from capi import services, vault
from capi.models import Connection
from tests.conftest import TOKEN

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

OTHER_TOKEN = "AQVcontoso0123456789abcdefghijklmnop"


def rotate(*options: str) -> str:
    printed = StringIO()
    call_command("rotate_token_keys", *options, stdout=printed)
    return printed.getvalue()


@pytest.fixture
def two_tokens(settings, company, other_company):
    """Two companies' tokens under an old key; a new one has been put before it."""
    old = Fernet.generate_key().decode()
    settings.TOKEN_KEYS = [old]
    services.save_token(company=company, token=TOKEN)
    services.save_token(company=other_company, token=OTHER_TOKEN)
    settings.TOKEN_KEYS = [Fernet.generate_key().decode(), old]
    return settings


def opened() -> dict[int, str]:
    rows = Connection.objects.values_list("company", "sealed_token")
    return {company: vault.unseal(company_id=company, sealed=sealed) for company, sealed in rows}


def test_all_tokens_are_sealed_under_the_newest_key(two_tokens, company, other_company) -> None:
    printed = rotate()

    assert printed == "0 under the newest key, 2 sealed anew.\n0 under old keys\n"
    two_tokens.TOKEN_KEYS = two_tokens.TOKEN_KEYS[:1]
    assert opened() == {company.pk: TOKEN, other_company.pk: OTHER_TOKEN}


def test_a_second_run_has_nothing_left_to_do(two_tokens) -> None:
    rotate()
    before = list(Connection.objects.values())

    printed = rotate()

    assert printed == "2 under the newest key, 0 sealed anew.\n0 under old keys\n"
    assert list(Connection.objects.values()) == before


def test_a_run_that_was_cut_short_is_taken_up_again(two_tokens, company) -> None:
    connection = Connection.objects.get(company=company)
    Connection.objects.filter(pk=connection.pk).update(sealed_token=vault.reseal(connection.sealed_token))

    printed = rotate()

    assert printed == "1 under the newest key, 1 sealed anew.\n0 under old keys\n"


def test_a_dry_run_counts_and_writes_nothing(two_tokens) -> None:
    before = list(Connection.objects.values())

    printed = rotate("--dry-run")

    assert printed == "0 under the newest key, 2 would be sealed anew.\n2 under old keys\n"
    assert list(Connection.objects.values()) == before


def test_a_token_that_was_saved_meanwhile_is_not_overwritten(two_tokens, company, monkeypatch) -> None:
    reseal = vault.reseal

    def reseal_while_a_new_token_is_saved(sealed):
        services.save_token(company=company, token="AQnew-token-of-this-minute-0123")
        return reseal(sealed)

    monkeypatch.setattr(vault, "reseal", reseal_while_a_new_token_is_saved)

    rotate()

    assert opened()[company.pk] == "AQnew-token-of-this-minute-0123"


def test_a_token_that_no_key_opens_is_named_by_company_and_left_as_it_is(two_tokens, company) -> None:
    foreign = Fernet(Fernet.generate_key()).encrypt(b"sealed elsewhere").decode()
    Connection.objects.filter(company=company).update(sealed_token=foreign)

    with pytest.raises(CommandError, match=r"^1 can't be read with these keys: northwind\. Bring the old key back"):
        rotate()

    assert Connection.objects.get(company=company).sealed_token == foreign
    assert not Connection.objects.filter(is_paused=True).exists()
    assert Connection.objects.filter(sealed_token__startswith="gAAAA").count() == 2


def test_nothing_that_it_prints_holds_a_token(two_tokens) -> None:
    printed = rotate("--dry-run") + rotate()

    assert TOKEN[-8:] not in printed
    assert OTHER_TOKEN[-8:] not in printed


def test_without_any_token_it_ends_well(company) -> None:
    services.connection_of(company)

    assert rotate() == "0 under the newest key, 0 sealed anew.\n0 under old keys\n"
