"""`manage.py rotate_token_keys`: encrypts every token with the newest key; none is lost or shown."""

from io import StringIO

import pytest
from allauth.mfa.models import Authenticator
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from capi import services
from capi.models import Connection
from capi.models.token import reseal, unseal
from capi.services import key_rotation
from crm.accounts.mfa import secret_state
from crm.models import crypto
from crm.models.crypto import KeyState
from tests.conftest import TOKEN
from tests.crm.accounts.conftest import set_up_app

pytestmark = [pytest.mark.django_db, pytest.mark.covers("F71")]

OTHER_TOKEN = "AQVcontoso0123456789abcdefghijklmnop"


def rotate(*options: str) -> list[str]:
    """Run the command, and return the lines that it prints."""
    printed = StringIO()
    call_command("rotate_token_keys", *options, stdout=printed)
    return printed.getvalue().splitlines()


def tokens(newest: int, older: int, unreadable: int) -> str:
    return f"Access tokens: {newest} with the newest key, {older} with an older one, {unreadable} unreadable."


@pytest.fixture
def two_tokens(settings, company, other_company):
    """Two companies' tokens under an old key, with a new key listed before it. Returns the settings."""
    old = Fernet.generate_key().decode()
    settings.TOKEN_KEYS = [old]
    services.save_token(company=company, token=TOKEN)
    services.save_token(company=other_company, token=OTHER_TOKEN)
    settings.TOKEN_KEYS = [Fernet.generate_key().decode(), old]
    return settings


def opened() -> dict[int, str]:
    rows = Connection.objects.values_list("company", "sealed_token")
    return {
        company: unseal(company_id=company, sealed=sealed) for company, sealed in rows
    }


def test_all_tokens_are_sealed_under_the_newest_key(
    two_tokens, company, other_company
) -> None:
    newest, old = crypto.fingerprints()

    printed = rotate()

    assert printed == [
        f"Keys: {newest} (newest), {old}.",
        tokens(0, 2, 0),
        "Client secrets: 0 with the newest key, 0 with an older one, 0 unreadable.",
        "Second factors: 0 with the newest key, 0 with an older one, 0 unreadable.",
        f"2 encrypted again with {newest}.",
        "0 left with older keys",
    ]
    two_tokens.TOKEN_KEYS = two_tokens.TOKEN_KEYS[:1]
    assert opened() == {company.pk: TOKEN, other_company.pk: OTHER_TOKEN}


def test_a_second_run_has_nothing_left_to_do(two_tokens) -> None:
    rotate()
    before = list(Connection.objects.values())

    printed = rotate()

    assert printed[1] == tokens(2, 0, 0)
    assert printed[4:] == [
        f"0 encrypted again with {crypto.fingerprints()[0]}.",
        "0 left with older keys",
    ]
    assert list(Connection.objects.values()) == before


def test_a_run_that_was_cut_short_is_taken_up_again(two_tokens, company) -> None:
    connection = Connection.objects.get(company=company)
    resealed = reseal(company_id=company.pk, sealed=connection.sealed_token)
    Connection.objects.filter(pk=connection.pk).update(sealed_token=resealed)

    printed = rotate()

    assert printed[1] == tokens(1, 1, 0)
    assert printed[4:] == [
        f"1 encrypted again with {crypto.fingerprints()[0]}.",
        "0 left with older keys",
    ]


def test_a_dry_run_counts_and_writes_nothing(two_tokens) -> None:
    before = list(Connection.objects.values())

    printed = rotate("--dry-run")

    assert printed[1] == tokens(0, 2, 0)
    assert printed[4:] == ["Dry run: nothing was written.", "2 left with older keys"]
    assert list(Connection.objects.values()) == before


def test_a_token_that_was_saved_meanwhile_is_not_overwritten(
    two_tokens, company, monkeypatch
) -> None:
    reseal = key_rotation.reseal

    def reseal_while_a_new_token_is_saved(**sealed):
        services.save_token(company=company, token="AQnew-token-of-this-minute-0123")
        return reseal(**sealed)

    monkeypatch.setattr(
        "capi.services.key_rotation.reseal", reseal_while_a_new_token_is_saved
    )

    rotate()

    assert opened()[company.pk] == "AQnew-token-of-this-minute-0123"


@pytest.fixture
def some_lost(two_tokens, company, sales, admin):
    """One token and one second factor are encrypted under a key that is gone. Returns the settings."""
    set_up_app(sales.user)
    set_up_app(admin.user)
    gone = Fernet(Fernet.generate_key())
    Connection.objects.filter(company=company).update(
        sealed_token=gone.encrypt(b"[1, 2]").decode()
    )
    Authenticator.objects.filter(user=sales.user).update(
        data={"secret": gone.encrypt(b"secret").decode()}
    )
    two_tokens.TOKEN_KEYS = [Fernet.generate_key().decode(), *two_tokens.TOKEN_KEYS]
    return two_tokens


@pytest.mark.parametrize("options", [["--dry-run"], []], ids=["dry run", "real run"])
def test_what_no_key_opens_is_counted_and_named_by_company_and_person(
    some_lost, company, sales, capsys, options
) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("rotate_token_keys", *options)

    printed = capsys.readouterr().out.splitlines()
    assert printed[1] == tokens(0, 1, 1)
    assert (
        printed[3]
        == "Second factors: 0 with the newest key, 1 with an older one, 1 unreadable."
    )
    assert str(refused.value).startswith(
        f"These keys can't decrypt the access tokens of northwind (company {company.pk}). "
        f"These keys can't decrypt the second factors of users {sales.user.pk}. Restore the missing key"
    )
    assert "@" not in str(refused.value)


def test_the_rest_is_sealed_again_and_what_is_lost_stays_as_it_is(
    some_lost, company, other_company, admin
) -> None:
    lost = (
        Connection.objects.get(company=company).sealed_token,
        Authenticator.objects.get(user__email__contains="sales").data,
    )

    with pytest.raises(CommandError):
        rotate()

    some_lost.TOKEN_KEYS = some_lost.TOKEN_KEYS[:1]
    sealed = Connection.objects.get(company=other_company).sealed_token
    assert unseal(company_id=other_company.pk, sealed=sealed) == OTHER_TOKEN
    assert secret_state(Authenticator.objects.get(user=admin.user)) == KeyState.NEWEST
    assert lost == (
        Connection.objects.get(company=company).sealed_token,
        Authenticator.objects.get(user__email__contains="sales").data,
    )
    assert not Connection.objects.filter(is_paused=True).exists()


def test_a_dry_run_writes_nothing_where_something_is_lost(some_lost) -> None:
    before = list(Connection.objects.values()), list(Authenticator.objects.values())

    with pytest.raises(CommandError):
        rotate("--dry-run")

    assert (
        list(Connection.objects.values()),
        list(Authenticator.objects.values()),
    ) == before


def test_once_the_key_is_back_nothing_is_lost(
    two_tokens, company, other_company
) -> None:
    kept, new = two_tokens.TOKEN_KEYS, Fernet.generate_key().decode()
    two_tokens.TOKEN_KEYS = [new]
    with pytest.raises(
        CommandError,
        match=r"of contoso \(company \d+\), northwind|of northwind \(company \d+\), contoso",
    ):
        rotate()

    two_tokens.TOKEN_KEYS = [new, *kept]
    printed = rotate()

    assert printed[-1] == "0 left with older keys"
    two_tokens.TOKEN_KEYS = [new]
    assert opened() == {company.pk: TOKEN, other_company.pk: OTHER_TOKEN}


def test_keys_in_the_wrong_order_lose_nothing(
    two_tokens, company, other_company
) -> None:
    two_tokens.TOKEN_KEYS = two_tokens.TOKEN_KEYS[::-1]

    printed = rotate()

    assert printed[1] == tokens(2, 0, 0)
    assert opened() == {company.pk: TOKEN, other_company.pk: OTHER_TOKEN}


def test_a_token_in_another_companys_row_is_unreadable_and_not_made_theirs(
    two_tokens, company, other_company
) -> None:
    theirs = Connection.objects.get(company=other_company).sealed_token
    Connection.objects.filter(company=company).update(sealed_token=theirs)

    with pytest.raises(CommandError, match="northwind"):
        rotate()

    assert Connection.objects.get(company=company).sealed_token == theirs
    assert [state for _, state in key_rotation.take_inventory().tokens] == [
        KeyState.UNREADABLE,
        KeyState.NEWEST,
    ]


def test_nothing_that_it_prints_holds_a_token(two_tokens) -> None:
    printed = "".join(rotate("--dry-run") + rotate())

    assert TOKEN[-8:] not in printed
    assert OTHER_TOKEN[-8:] not in printed


def test_without_any_token_it_ends_well(company) -> None:
    services.connection_of(company)

    assert rotate()[1] == tokens(0, 0, 0)
    assert rotate()[-1] == "0 left with older keys"
