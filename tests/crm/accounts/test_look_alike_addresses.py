"""An account's address has one normal form: spelling it with look-alike letters makes no second name for it."""

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command
from django.test import Client

from crm.models import Company, Invitation, Lead, User
from crm.models.addresses import account_address, find_address
from crm.models.roles import Role
from tests.conftest import join, make_lead
from tests.crm.accounts.conftest import confirm_password, is_in, link, sign_in
from tests.crm.accounts.test_sign_up import sign_up
from tests.crm.accounts.test_throttling import LOCKED, fail

pytestmark = pytest.mark.django_db

# As s, k, i and s.
LONG_S, KELVIN, DOTLESS_I, FULL_WIDTH = "\u017f", "\u212a", "\u0131", "\uff53"
SPELLINGS = (
    f"{LONG_S}ales@example.com",
    f"sale{LONG_S}@example.com",
    f"{FULL_WIDTH}ales@example.com",
    "SALES@EXAMPLE.COM",
    "sales@\uff45xample.com",
    "sales@exam\u00adple.com",
)


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        *[(spelling, "sales@example.com") for spelling in SPELLINGS],
        ("  Ada@Example.com ", "ada@example.com"),
        (f"mi{KELVIN}e@example.com", "mike@example.com"),
        ("info@B\u00fccher.example", "info@xn--bcher-kva.example"),
        ("info@xn--bcher-kva.example", "info@xn--bcher-kva.example"),
        ("info@stra\u00dfe.example", "info@xn--strae-oqa.example"),
        ("root@localhost", "root@localhost"),
    ],
)
def test_each_spelling_has_one_normal_form(typed, address):
    assert account_address(typed) == address
    assert account_address(address) == address


DOMAIN = ".".join(letter * 60 for letter in "bcd")
LONGEST = f"{'a' * 63}@{DOMAIN}.example"
UMLAUTS = ".".join(["\u00fc" * 30] * 6)
TOO_LONG = (
    f"a{LONGEST}",
    f"{'a' * 200}@{'b' * 60}.example",
    f"{'a' * 60}@{UMLAUTS}.example",  # 254 characters are more in ASCII
)


def test_the_longest_address_that_the_database_holds_is_one():
    assert account_address(LONGEST) == LONGEST


@pytest.mark.parametrize("typed", TOO_LONG)
def test_each_form_refuses_a_longer_one_with_what_to_do(client_as, admin, typed):
    client = client_as(admin)
    confirm_password(client)

    pages = [
        sign_up(Client(), email=typed),
        client.post("/account/address/", {"action_add": "1", "email": typed}),
        client.post("/company/people/", {"email": typed, "role": "sales"}),
        Client().post("/password/reset/", {"email": typed}),
        Client().post("/login/", {"username": typed, "password": "x"}),
    ]

    for page in pages:
        assert (
            "Enter an e-mail address of at most 254 characters."
            in page.content.decode()
        )
    assert mail.outbox == []


@pytest.mark.parametrize(
    "typed",
    [
        f"sa{DOTLESS_I}es@example.com",
        "s\u00e4les@example.com",
        '"sales"@example.com',
        "sales@[127.0.0.1]",
        "sales@example.com.",
        "sales@example",
        "a\uff20b@example.com",
        "sales",
        "@example.com",
        "sales@",
        "a" * 400 + "@example.com",
        *TOO_LONG,
        "",
    ],
)
def test_what_has_no_normal_form_is_refused(typed):
    with pytest.raises(ValidationError):
        account_address(typed)

    assert find_address(typed) == ""


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_locked_name_is_locked_in_each_spelling(sales, spelling):
    fail(5)

    assert LOCKED in fail(1, spelling)[0]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_known_password_adds_no_second_address(sales, spelling):
    client = Client()

    sign_in(client, spelling)

    assert is_in(client)
    assert list(EmailAddress.objects.values_list("email", "verified")) == [
        ("sales@example.com", True)
    ]
    assert mail.outbox == []


def test_a_username_that_is_another_address_signs_nobody_in(sales):
    """Otherwise a confirmation would go to an address that the account gave up."""
    User.objects.update(email="new@example.com")
    client = Client()

    sign_in(client, "sales@example.com")

    assert not is_in(client)
    assert mail.outbox == []


def test_who_signs_up_first_shuts_no_other_out(db):
    sign_up(Client(), email=f"{LONG_S}teve@example.com")

    assert User.objects.get().email == "steve@example.com"
    assert mail.outbox[0].to == ["steve@example.com"]


def test_a_letter_that_is_none_of_ascii_is_refused_with_what_to_do(db):
    page = sign_up(Client(), email=f"st{DOTLESS_I}eve@example.com")

    assert "Before the @, use only the letters a to z" in page.content.decode()
    assert not Company.objects.exists()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_taken_address_is_taken_in_each_spelling(client_as, sales, admin, spelling):
    sign_up(Client(), email=spelling)
    client = client_as(admin)
    confirm_password(client)

    client.post("/account/address/", {"action_add": "1", "email": spelling})
    invited = client.post("/company/people/", {"email": spelling, "role": "ops"})

    assert User.objects.count() == 2
    assert [message.subject for message in mail.outbox[-1:]] == [
        "You already have an account"
    ]
    assert "already in the list above" in invited.content.decode()


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_reset_goes_to_the_address_on_record(sales, spelling):
    Client().post("/password/reset/", {"email": spelling})

    assert mail.outbox[0].to == ["sales@example.com"]
    assert "/password/reset/" in link()


def test_an_invitation_is_for_the_person_who_has_the_address(
    client_as, admin, other_company
):
    grace = join(other_company, Role.ADMIN, email="grace@xn--bcher-kva.example")
    client_as(admin).post(
        "/company/people/", {"email": "GRACE@B\u00fccher.example", "role": "ops"}
    )

    client_as(grace).post(link())

    assert Invitation.objects.get().email == "grace@xn--bcher-kva.example"
    assert grace.user.memberships.filter(company=admin.company).exists()


def test_the_operator_s_commands_find_a_person_by_any_spelling(
    sales, monkeypatch, capsys
):
    call_command("create_company", "Contoso", "--admin", SPELLINGS[0])
    call_command("reset_second_factor", SPELLINGS[2])

    assert f"with user {sales.user_id} as its admin" in capsys.readouterr().out
    with pytest.raises(CommandError, match="Before the @"):
        call_command(
            "create_company", "Fabrikam", "--admin", f"sa{DOTLESS_I}es@example.com"
        )


def test_a_lead_keeps_the_address_that_was_typed(company):
    make_lead(company, email="S\u00e4les@B\u00fccher.example")

    assert Lead.objects.get().email == "S\u00e4les@B\u00fccher.example"
