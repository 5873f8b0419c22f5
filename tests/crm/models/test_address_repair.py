"""The migration that gives the addresses of existing accounts their normal form: all of them, or none."""

import pytest
from allauth.account.models import EmailAddress
from django.core.management import CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from crm.models import Invitation, User
from crm.models.address_repair import normalise_addresses
from crm.models.roles import Role

pytestmark = pytest.mark.django_db

LONG_S, DOTLESS_I = "\u017f", "\u0131"
TOO_LONG_IN_ASCII = f"{'a' * 60}@{'.'.join(['ü' * 30] * 6)}.example"  # 254 characters here, as the database holds


def repair():
    normalise_addresses(users=User.objects, addresses=EmailAddress.objects, invitations=Invitation.objects)


def rename(user, email, *, username=None):
    """Give the user an address that only an older version would have stored."""
    User.objects.filter(pk=user.pk).update(email=email, username=username or email)
    EmailAddress.objects.update_or_create(user=user, defaults={"email": email, "primary": True, "verified": True})


def stored():
    return sorted(User.objects.values_list("email", "username")), sorted(EmailAddress.objects.values_list("email"))


def test_addresses_and_the_usernames_that_follow_them_are_put_into_the_normal_form(admin, sales, ops, company):
    rename(sales.user, f"{LONG_S}teve@example.com")
    rename(ops.user, "info@b\u00fccher.example", username="root")
    Invitation.objects.create(company=company, email="new@example.com", role=Role.OPS, token_sha256="a")
    Invitation.objects.update(email=f"new@{LONG_S}hop.example")

    repair()

    sales.user.refresh_from_db()
    ops.user.refresh_from_db()
    assert (sales.user.email, sales.user.username) == ("steve@example.com", "steve@example.com")
    assert (ops.user.email, ops.user.username) == ("info@xn--bcher-kva.example", "root")
    assert set(EmailAddress.objects.values_list("email", flat=True)) == {sales.user.email, ops.user.email}
    assert Invitation.objects.get().email == "new@shop.example"


def test_two_accounts_with_the_same_address_are_named_and_nothing_is_changed(admin, sales, ops):
    rename(sales.user, "steve@example.com")
    rename(ops.user, f"{LONG_S}teve@example.com")
    rename(admin.user, f"o{LONG_S}kar@example.com")
    before = stored()

    with pytest.raises(CommandError) as refusal:
        repair()

    first, second = sorted([sales.user.pk, ops.user.pk])
    assert f"The addresses of user {first} and user {second} are the same." in str(refusal.value)
    assert "Nothing was changed. Start the version that ran before" in str(refusal.value)
    assert "example.com" not in str(refusal.value)
    assert stored() == before


@pytest.mark.parametrize("email", [f"st{DOTLESS_I}eve@example.com", TOO_LONG_IN_ASCII])
def test_an_address_without_a_normal_form_is_named_and_nothing_is_changed(sales, ops, email):
    rename(sales.user, email, username="steve")
    rename(ops.user, f"o{LONG_S}kar@example.com")
    before = stored()

    with pytest.raises(CommandError, match=rf"The address of user {sales.user.pk} can't be used for an account"):
        repair()

    assert stored() == before


def test_a_username_that_somebody_else_has_is_named_and_nothing_is_changed(sales, ops):
    rename(sales.user, f"{LONG_S}teve@example.com")
    rename(ops.user, "oskar@example.com", username="steve@example.com")
    before = stored()

    with pytest.raises(CommandError, match=rf"username of user {sales.user.pk} is that of user {ops.user.pk}\."):
        repair()

    assert stored() == before


def test_two_open_invitations_of_one_person_are_named(company, other_company):
    for number, owner in enumerate((company, company, other_company)):
        Invitation.objects.create(company=owner, email=f"{number}@example.com", role=Role.OPS, token_sha256=str(number))
    first, second, elsewhere = Invitation.objects.order_by("pk")
    Invitation.objects.filter(pk=first.pk).update(email="new@shop.example")
    Invitation.objects.filter(pk__in=[second.pk, elsewhere.pk]).update(email=f"new@{LONG_S}hop.example")

    with pytest.raises(CommandError) as refusal:
        repair()

    assert f"invitation {first.pk} and invitation {second.pk} are the same" in str(refusal.value)
    assert str(refusal.value).count("are the same") == 1


@pytest.mark.thorough
@pytest.mark.django_db(transaction=True)
def test_the_migration_stops_at_a_collision_and_goes_on_once_it_is_resolved():
    migrate("0004_what_undo_needs")
    try:
        old = MigrationExecutor(connection).loader.project_state(("crm", "0004_what_undo_needs")).apps
        users = old.get_model("crm", "User").objects
        one, two = (users.create(username=email, email=email) for email in ("s@example.com", f"{LONG_S}@example.com"))

        with pytest.raises(CommandError, match=f"user {one.pk} and user {two.pk} are the same"):
            migrate("0005_account_addresses")
        one.delete()

        migrate("0005_account_addresses")
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes())

    assert list(User.objects.values_list("email", "username")) == [("s@example.com", "s@example.com")]


def migrate(name):
    MigrationExecutor(connection).migrate([("crm", name)])
