"""`manage.py create_company NAME --admin EMAIL`: the first company and its admin, who signs in without any mail."""

from io import StringIO

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client

from crm.models import AuditEntry, Company, Membership, User
from crm.models.roles import Role
from tests.conftest import join
from tests.crm.accounts.conftest import is_in, link, sign_in

pytestmark = pytest.mark.django_db

GOOD = "a long and good password"


@pytest.fixture(autouse=True)
def _password(monkeypatch):
    monkeypatch.setenv("LEADMACHINE_ADMIN_PASSWORD", GOOD)


def create(name="Northwind BV", email="Ada@Example.com"):
    printed = StringIO()
    call_command("create_company", name, "--admin", email, stdout=printed)
    return printed.getvalue()


def nothing_was_made():
    return not (
        Company.objects.exists()
        or User.objects.exists()
        or EmailAddress.objects.exists()
    )


def test_the_admin_signs_in_and_sees_the_dashboard_without_any_mail():
    create()
    client = Client()

    response = sign_in(client, email="ada@example.com", password=GOOD)

    assert response.url == "/"
    assert client.get("/", follow=True).status_code == 200
    assert client.get("/company/").status_code == 200
    assert mail.outbox == []


def test_it_makes_one_company_with_one_admin_and_puts_it_on_record():
    create()

    membership = Membership.objects.get()
    assert (membership.company.name, membership.company.slug) == (
        "Northwind BV",
        "northwind-bv",
    )
    assert (membership.user.email, membership.role) == ("ada@example.com", Role.ADMIN)
    assert not membership.user.is_staff
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor_kind, entry.object_id) == (
        "member_joined",
        "system",
        membership.user_id,
    )


def test_it_says_what_to_do_next_and_never_the_password():
    printed = create()

    user = User.objects.get()
    assert (
        printed.splitlines()[0]
        == f"Created the company Northwind BV (northwind-bv), with user {user.pk} as its admin."
    )
    assert "Sign in at https://crm.example.com/login/" in printed
    assert GOOD not in printed
    assert user.check_password(GOOD)


def test_somebody_who_is_known_becomes_the_admin_and_keeps_their_password(
    other_company,
):
    user = join(other_company, Role.SALES).user
    before = user.password

    printed = create(email="SALES@example.com")

    user.refresh_from_db()
    assert user.password == before
    assert sorted(user.memberships.values_list("company__name", "role")) == [
        ("Contoso GmbH", "sales"),
        ("Northwind BV", "admin"),
    ]
    assert EmailAddress.objects.get().verified  # the operator vouches for them
    assert "their existing password" in printed


@pytest.fixture
def stranger():
    """Someone who signed up with the admin's address, and can't confirm it."""
    address = {"email": "ada@example.com", "password1": "the password of a stranger"}
    company = {"company": "Elsewhere", "currency": "EUR", "time_zone": "UTC"}
    Client().post(
        "/signup/", {**company, "first_name": "A", "last_name": "B", **address}
    )
    return User.objects.get()


def test_anyone_who_signed_up_with_the_address_and_never_confirmed_it_is_not_let_in_by_it(
    stranger,
):
    with pytest.raises(
        CommandError,
        match=f"^User {stranger.pk} signed up with this address but never confirmed it",
    ):
        create()

    sign_in(
        client := Client(),
        email="ada@example.com",
        password="the password of a stranger",
    )
    assert not is_in(client)
    assert [company.name for company in Company.objects.all()] == ["Elsewhere"]
    assert not EmailAddress.objects.get().verified


def test_the_owner_of_the_address_becomes_the_admin_once_they_have_chosen_a_password(
    stranger,
):
    client = Client()
    mail.outbox.clear()
    client.post("/password/reset/", {"email": "ada@example.com"})
    client.post(client.get(link()).url, {"password1": GOOD, "password2": GOOD})

    create()

    assert Membership.objects.filter(
        user=stranger, company__name="Northwind BV", role=Role.ADMIN
    ).exists()
    sign_in(
        other := Client(),
        email="ada@example.com",
        password="the password of a stranger",
    )
    assert not is_in(other)


def test_a_person_who_is_switched_off_is_not_let_in_by_it(other_company):
    user = join(other_company, Role.SALES).user
    User.objects.update(is_active=False)

    with pytest.raises(CommandError, match=f"User {user.pk} is inactive"):
        create(email="sales@example.com")

    assert Company.objects.get() == other_company


def test_the_same_name_again_is_refused_with_what_there_is(company):
    with pytest.raises(
        CommandError,
        match=r"^There is already a company “Northwind BV” \(northwind\)\.$",
    ):
        create(name=" northwind bv ")

    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("name", "email", "said"),
    [
        ("Northwind", "nonsense", "Enter an e-mail address such as ada@example.com"),
        ("Northwind", "", "Enter an e-mail address such as ada@example.com"),
        (" ", "ada@example.com", "This field cannot be blank"),
        ("N" * 121, "ada@example.com", "at most 120 characters"),
    ],
)
def test_what_can_be_no_name_and_no_address_is_refused(name, email, said):
    with pytest.raises(CommandError, match=said):
        create(name, email)

    assert nothing_was_made()


@pytest.mark.parametrize(
    ("password", "said"),
    [
        ("brief one", "too short"),
        ("12345678901234", "entirely numeric"),
        ("ada@example.com", "similar"),
    ],
)
def test_a_password_that_no_form_would_take_is_refused_and_not_repeated(
    monkeypatch, password, said
):
    monkeypatch.setenv("LEADMACHINE_ADMIN_PASSWORD", password)

    with pytest.raises(CommandError, match=said) as refused:
        create()

    assert password not in str(refused.value)
    assert nothing_was_made()


@pytest.fixture
def typed(monkeypatch):
    """Answers to the questions, in their order; the questions are kept in `asked`."""
    monkeypatch.delenv("LEADMACHINE_ADMIN_PASSWORD")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)

    class Typed:
        asked: list[str] = []
        answers: list[str] = []

        def __call__(self, question):
            self.asked.append(question)
            return self.answers.pop(0)

    typed = Typed()
    typed.asked, typed.answers = [], []
    monkeypatch.setattr("getpass.getpass", typed)
    return typed


def test_the_password_is_asked_for_twice(typed):
    typed.answers = [GOOD, GOOD]

    create()

    assert typed.asked == ["Password for ada@example.com: ", "Repeat the password: "]
    assert User.objects.get().check_password(GOOD)


def test_two_that_differ_make_nothing(typed):
    typed.answers = [GOOD, "something else entirely"]

    with pytest.raises(CommandError, match=r"^The passwords don't match\."):
        create()

    assert nothing_was_made()


def test_without_a_terminal_and_without_a_password_it_says_how_to_give_one(monkeypatch):
    monkeypatch.delenv("LEADMACHINE_ADMIN_PASSWORD")
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)

    with pytest.raises(CommandError, match="LEADMACHINE_ADMIN_PASSWORD"):
        create()

    assert nothing_was_made()


@pytest.mark.parametrize("typed_address", ["root@example.com", "Root@Example.COM"])
def test_a_superuser_signs_in_without_any_mail_too(monkeypatch, typed_address):
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", GOOD)
    call_command(
        "createsuperuser",
        "--no-input",
        username="root",
        email="Root@Example.com",
        stdout=StringIO(),
    )
    client = Client()

    response = sign_in(client, email=typed_address, password=GOOD)
    admin = client.get("/admin/", follow=True)

    assert response.url == "/"
    # It asks for an app first, and for no mail.
    assert admin.redirect_chain[1][0].startswith("/account/app/on/")
    assert mail.outbox == []
