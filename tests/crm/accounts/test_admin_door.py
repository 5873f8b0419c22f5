"""S43: the operator's admin lets in staff only, through our sign-in page, and after a second factor."""

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from crm.models import Invitation, Membership
from crm.models.roles import Role
from tests.conftest import code_now, join, staff_client
from tests.crm.accounts.conftest import set_up_app, sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(sales):
    sales.user.is_staff = sales.user.is_superuser = True
    sales.user.save()
    return sales.user


def test_nobody_gets_in_without_signing_in(db):
    assert Client().get("/admin/", follow=True).redirect_chain == [
        ("/admin/login/?next=/admin/", 302),
        ("/login/?next=/admin/", 302),
    ]


def test_who_is_not_staff_is_refused(client_as, admin):
    response = client_as(admin).get("/admin/", follow=True)

    assert response.status_code == 403
    assert (
        "The administration is for the staff of this installation."
        in response.content.decode()
    )


def test_staff_without_a_second_factor_are_sent_to_set_one_up(staff):
    client = Client()
    sign_in(client)

    response = client.get("/admin/crm/lead/", follow=True)

    assert response.redirect_chain[1][0] == "/account/app/on/?next=/admin/crm/lead/"
    assert "The administration needs a second factor." in response.content.decode()


def test_staff_with_a_second_factor_get_in(staff):
    secret = set_up_app(staff)
    client = Client()
    sign_in(client)
    client.post("/login/code/", {"code": code_now(secret)})

    assert client.get("/admin/").status_code == 200


def test_a_session_from_before_the_second_factor_is_asked_for_a_code(staff):
    client = Client()
    sign_in(client)
    secret = set_up_app(staff)

    asked = client.get("/admin/crm/lead/", follow=True).redirect_chain[-1][0]
    answer = client.post(
        "/account/confirm/code/", {"code": code_now(secret), "next": "/admin/crm/lead/"}
    )

    assert asked == "/account/confirm/code/?next=/admin/crm/lead/"
    assert answer.url == "/admin/crm/lead/"
    assert client.get("/admin/crm/lead/").status_code == 200


def test_nothing_secret_is_shown(company):
    client = staff_client()
    authenticator = Authenticator.objects.get()
    invitation = Invitation.objects.create(
        company=company, email="x@example.com", role="ops", token_sha256="f00d" * 16
    )

    pages = [
        client.get(f"/admin/mfa/authenticator/{authenticator.pk}/change/"),
        client.get(f"/admin/crm/invitation/{invitation.pk}/change/"),
    ]

    assert [page.status_code for page in pages] == [200, 200]
    assert authenticator.data["secret"] not in pages[0].content.decode()
    assert "f00df00d" not in pages[1].content.decode()


def act(client, action, *members):
    return client.post(
        "/admin/crm/membership/",
        {"action": action, "_selected_action": [member.pk for member in members]},
        follow=True,
    )


def test_members_are_changed_through_the_services(company, admin, sales):
    client = staff_client()

    page = act(client, "make_ops", admin, sales)

    assert "last admin and was not changed." in page.content.decode()
    assert list(Membership.objects.values_list("role", flat=True)) == ["admin", "ops"]


def test_members_are_shut_out_and_let_in(company, admin):
    second = join(company, Role.ADMIN, email="second@example.com")
    client = staff_client()

    act(client, "deactivate", second)
    second.refresh_from_db()
    assert not second.is_active

    act(client, "reactivate", second)
    second.refresh_from_db()
    assert second.is_active


def test_a_membership_is_never_changed_or_deleted_in_a_form(company, admin):
    client = staff_client()

    codes = [
        client.post(
            f"/admin/crm/membership/{admin.pk}/change/", {"role": "ops"}
        ).status_code,
        client.post(
            f"/admin/crm/membership/{admin.pk}/delete/", {"post": "yes"}
        ).status_code,
    ]

    assert codes == [403, 403]
