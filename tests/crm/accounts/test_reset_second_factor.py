"""`manage.py reset_second_factor EMAIL`: the way back in without app and codes, or if their key is lost."""

from io import StringIO

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from cryptography.fernet import Fernet
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.test import Client

from crm.models import AuditEntry
from crm.models.roles import Role
from tests.conftest import code_now, join, staff_client
from tests.crm.accounts.conftest import is_in, set_up_app, sign_in
from tests.crm.accounts.test_second_factor import give, recovery_codes

pytestmark = pytest.mark.django_db


def reset(email="sales@example.com"):
    printed = StringIO()
    call_command("reset_second_factor", email, stdout=printed)
    return printed.getvalue()


def signed_in(user, secret):
    client = Client()
    sign_in(client, email=user.email)
    give(client, code_now(secret))
    assert is_in(client)
    return client


def test_the_password_alone_lets_the_person_in_again(sales, settings):
    set_up_app(sales.user)
    # The key that sealed it is lost.
    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]

    reset()
    client = Client()
    sign_in(client)

    assert is_in(client)


def test_app_and_recovery_codes_are_gone_and_it_says_so_by_id(client_as, sales):
    recovery_codes(client_as(sales))

    printed = reset("Sales@Example.com")

    assert not Authenticator.objects.exists()
    assert printed.splitlines() == [
        f"User {sales.user.pk}: authenticator app and recovery codes removed, 1 session ended.",
        "They can now sign in with their password. Ask them to set up a second factor under “Your account”.",
    ]


def test_their_sessions_end_and_nobody_elses(sales, admin):
    theirs, other = signed_in(sales.user, set_up_app(sales.user)), Client()
    sign_in(other, email="admin@example.com")
    unlisted = Client()
    # Allauth knows nothing of this one.
    unlisted.force_login(sales.user, backend="crm.accounts.adapter.EmailBackend")

    printed = reset()

    assert "2 sessions ended" in printed
    assert [is_in(client) for client in (theirs, unlisted, other)] == [
        False,
        False,
        True,
    ]
    assert Session.objects.count() == UserSession.objects.count() == 1


def test_nobody_elses_second_factor_is_touched(sales, admin):
    set_up_app(sales.user)
    set_up_app(admin.user)

    reset()

    assert Authenticator.objects.get().user == admin.user


def test_it_is_on_record_in_each_of_their_companies(sales, other_company):
    other_company.memberships.create(user=sales.user, role="ops")
    join(other_company, Role.ADMIN)
    set_up_app(sales.user)

    reset()

    entries = AuditEntry.objects.order_by("company_id")
    assert [
        (entry.company_id, entry.action, entry.actor_kind, entry.object_id)
        for entry in entries
    ] == [
        (company_id, "second_factor_reset", "system", sales.user.pk)
        for company_id in (sales.company_id, other_company.pk)
    ]


def test_an_unknown_address_is_refused_with_a_sentence_and_changes_nothing(sales):
    secret = set_up_app(sales.user)
    client = signed_in(sales.user, secret)

    with pytest.raises(
        CommandError, match=r"^No user has this e-mail address\.$"
    ) as refused:
        reset("nobody@example.com")

    assert refused.value.returncode == 1
    assert Authenticator.objects.count() == 1
    assert is_in(client)


@pytest.mark.parametrize("email", ["", " "])
def test_an_empty_address_is_nobodys(sales, email):
    sales.user.email = ""
    sales.user.save()

    with pytest.raises(CommandError, match="No user"):
        reset(email)


def test_without_a_second_factor_nothing_happens_and_it_says_so(sales):
    client = Client()
    sign_in(client)
    before = AuditEntry.objects.count()

    printed = reset()

    assert (
        printed == f"User {sales.user.pk} has no second factor. Nothing was changed.\n"
    )
    assert is_in(client)
    assert AuditEntry.objects.count() == before


def test_the_operators_own_way_into_the_administration_is_a_new_app(settings):
    staff = staff_client()
    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]
    assert staff.get("/admin/").status_code == 200

    reset("root@example.com")
    client = Client()
    sign_in(client, email="root@example.com")

    assert staff.get("/admin/").status_code == 302
    assert (
        client.get("/admin/", follow=True)
        .redirect_chain[1][0]
        .startswith("/account/app/on/")
    )
