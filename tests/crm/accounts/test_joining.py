"""Invitations: joining only adds the invited person's own membership, and only while the inviter may still invite."""

import pytest
from django.test import Client

from crm.models import AuditEntry, Invitation, Membership, User
from crm.models.roles import Role
from crm.services import people
from tests.conftest import join
from tests.crm.accounts.conftest import sign_in
from tests.crm.accounts.test_company_sign_in import come_in, provider, server
from tests.crm.accounts.test_people_page import accept

__all__ = ["provider", "server"]

pytestmark = pytest.mark.django_db
# Joining only adds


def test_an_invitation_changes_no_member_s_role(client_as, admin, company):
    """Not even of a member who took the invited address after the invitation was sent: here, the only admin."""
    _, token = people.invite(
        company=company, email="boss@example.com", role="sales", invited_by=admin.user
    )
    User.objects.filter(pk=admin.user_id).update(email="boss@example.com")

    told = client_as(admin).get(f"/invitations/{token}/")
    page = client_as(admin).post(f"/invitations/{token}/")

    admin.refresh_from_db()
    assert (told.status_code, page.status_code) == (403, 403)
    assert "has already added you" in told.content.decode()
    assert (admin.role, admin.is_active) == ("admin", True)
    assert Invitation.objects.open().exists()


@pytest.mark.parametrize("role", ["sales", "admin"])
def test_an_invitation_lets_no_deactivated_member_in_again(
    client_as, admin, sales, company, role
):
    """They take the address after their deactivation, which would have revoked an invitation to it."""
    _, token = people.invite(
        company=company, email="mm@example.com", role=role, invited_by=admin.user
    )
    people.deactivate(membership=sales)
    User.objects.filter(pk=sales.user_id).update(email="mm@example.com")

    page = client_as(sales).post(f"/invitations/{token}/")

    sales.refresh_from_db()
    assert page.status_code == 403
    assert (sales.role, sales.is_active) == ("sales", False)


def test_a_member_whom_somebody_else_has_just_added_keeps_their_role(
    company, admin, sales
):
    _, token = people.invite(
        company=company, email=sales.user.email, role="admin", invited_by=admin.user
    )

    with pytest.raises(people.AlreadyMember):
        people.accept_invitation(token=token, user=sales.user)

    sales.refresh_from_db()
    assert sales.role == "sales"


def shut_out(membership, how):
    if how == "deactivated":
        people.deactivate(membership=membership)
    elif how == "lowered":
        people.change_role(membership=membership, role=Role.OPS)
    else:
        User.objects.filter(pk=membership.user_id).update(is_active=False)


@pytest.mark.parametrize("how", ["deactivated", "lowered", "switched off"])
def test_invitations_end_with_whoever_sent_them(company, admin, how):
    """S08"""
    second = join(company, Role.ADMIN, email="second@example.com")
    _, theirs = people.invite(
        company=company,
        email="mallory@example.com",
        role="admin",
        invited_by=second.user,
    )
    _, other = people.invite(
        company=company, email="grace@example.com", role="sales", invited_by=admin.user
    )

    shut_out(second, how)

    assert accept(f"/invitations/{theirs}/").status_code == 404
    assert accept(f"/invitations/{other}/").url == "/"


def test_invitations_to_a_member_end_when_they_are_deactivated(company, admin, sales):
    people.invite(
        company=company, email=sales.user.email, role="admin", invited_by=admin.user
    )

    people.deactivate(membership=sales)

    assert not Invitation.objects.open().exists()


def test_invitations_that_ended_do_not_come_back(company, admin):
    second = join(company, Role.ADMIN, email="second@example.com")
    _, token = people.invite(
        company=company,
        email="mallory@example.com",
        role="admin",
        invited_by=second.user,
    )

    people.deactivate(membership=second)
    people.reactivate(membership=second)

    assert accept(f"/invitations/{token}/").status_code == 404
    assert AuditEntry.objects.filter(action="invitation_revoked").count() == 1


@pytest.mark.covers("S51")
def test_a_session_of_a_provider_joins_no_other_company(
    provider, server, sales, other_company
):
    boss = join(other_company, Role.ADMIN, email="boss@example.com")
    asked = {"company": other_company, "email": sales.user.email, "role": "sales"}
    _, token = people.invite(**asked, invited_by=boss.user)
    client, path = Client(), f"/invitations/{token}/"
    come_in(client, provider, server)

    pages = [client.get(path), client.post(path)]
    joined_by_provider = Membership.objects.filter(
        company=other_company, user=sales.user
    ).exists()
    client.post("/logout/")
    sign_in(client)

    assert [page.status_code for page in pages] == [403, 403]
    assert "Sign in with your own password" in pages[0].content.decode()
    assert not joined_by_provider
    assert client.post(path).url == "/"
    assert (
        Membership.objects.get(company=other_company, user=sales.user).role == "sales"
    )
