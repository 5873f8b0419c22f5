"""The people of a company: invited by mail, given roles, shut out and let in again, by its admins alone."""

import threading
from datetime import timedelta

import pytest
from django.core import mail
from django.db import connections
from django.db.models import F
from django.test import Client

from crm.models import ApiKey, AuditEntry, Invitation, Lead, Membership, User
from crm.models.roles import Role
from crm.services import people
from tests.conftest import PASSWORD, give_password, join
from tests.crm.accounts.conftest import is_in, link, sign_in

pytestmark = pytest.mark.django_db

PEOPLE = "/company/people/"
GONE = "This invitation no longer works"


def invite(client, email="grace@example.com", role="sales"):
    return client.post(PEOPLE, {"email": email, "role": role})


def accept(path, client=None, **changes):
    form = {
        "first_name": "Grace",
        "last_name": "Hopper",
        "password": "amazing grace, how sweet",
        **changes,
    }
    return (client or Client()).post(path, form)


def an_hour_passes():
    """Make all invitations an hour older: their time is the database's."""
    Invitation.objects.update(sent_at=F("sent_at") - timedelta(hours=1))


def texts(response):
    return [str(message) for message in response.context["messages"]]


def test_somebody_new_joins_through_the_link_in_the_mail(client_as, admin, company):
    invite(client_as(admin), "Grace@Example.com")
    client = Client()

    response = accept(link(), client)

    member = Membership.objects.get(user__email="grace@example.com")
    assert mail.outbox[0].to == ["grace@example.com"]
    assert mail.outbox[0].subject == "Admin Jansen invited you to join Northwind BV"
    assert response.url == "/"
    assert (member.company, member.role, str(member.user)) == (
        company,
        "sales",
        "Grace Hopper",
    )
    assert is_in(client)


def test_the_form_says_what_it_wants_once(client_as, admin):
    form = client_as(admin).get(PEOPLE).context["invitation_form"]

    assert form["email"].label == "E-mail address"
    assert "placeholder" not in str(form)


def test_their_address_counts_as_confirmed(client_as, admin):
    invite(client_as(admin))
    accept(link())
    client = Client()

    sign_in(client, "grace@example.com", "amazing grace, how sweet")

    assert is_in(client)


def test_somebody_who_has_an_account_signs_in_and_joins(
    client_as, admin, other_company
):
    grace = join(other_company, Role.ADMIN, email="grace@example.com")
    invite(client_as(admin), role="ops")
    client, path = Client(), link()

    asked = client.get(path).content.decode()
    assert f'href="/login/?next={path}"' in asked
    assert (
        client.post(
            "/login/",
            {"username": "grace@example.com", "password": PASSWORD, "next": path},
        ).url
        == path
    )
    assert "Join Northwind BV" in client.get(path).content.decode()
    assert not Membership.objects.filter(
        user=grace.user, company=admin.company
    ).exists()
    client.post(path)

    assert Membership.objects.get(user=grace.user, company=admin.company).role == "ops"
    assert client.get("/leads/").context["membership"].company == admin.company


def test_who_is_signed_in_as_somebody_else_does_not_join(client_as, admin, sales):
    invite(client_as(admin))
    client = client_as(sales)

    page, posted = client.get(link()), client.post(link())

    assert "This invitation is for someone else" in page.content.decode()
    assert posted.status_code == 403
    assert Membership.objects.count() == 2


def test_a_link_works_once(client_as, admin):
    invite(client_as(admin))
    path = link()
    accept(path)

    again = accept(path, email="other@example.com")

    assert again.status_code == 404
    assert GONE in again.content.decode()
    assert Membership.objects.count() == 2


def test_a_link_is_good_for_7_days_and_sending_it_again_gives_a_new_one(
    client_as, admin
):
    client = client_as(admin)
    invite(client)
    old = link()
    Invitation.objects.update(sent_at="2026-01-01T00:00Z")

    assert Client().get(old).status_code == 404
    assert "Expired" in client.get(PEOPLE).content.decode()
    client.post(f"/company/invitations/{Invitation.objects.get().pk}/resend/")

    assert link() != old
    assert Client().get(old).status_code == 404
    assert accept(link()).url == "/"


def test_a_revoked_link_lets_nobody_in(client_as, admin):
    client = client_as(admin)
    invite(client)

    client.post(f"/company/invitations/{Invitation.objects.get().pk}/revoke/")

    assert accept(link()).status_code == 404
    assert not User.objects.filter(email="grace@example.com").exists()
    assert (
        "grace@example.com"
        not in client.get(PEOPLE).content.decode().partition('id="invitations"')[2]
    )


@pytest.mark.parametrize("token", ["nonsense", "x" * 500, "%00", "%F0%9F%98%80"])
def test_a_guessed_link_lets_nobody_in(db, token):
    assert Client().get(f"/invitations/{token}/").status_code == 404


def test_only_a_hash_of_the_token_is_kept(client_as, admin):
    invite(client_as(admin))

    kept = str(Invitation.objects.values().get())

    assert link().split("/")[2] not in kept


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"email": "nonsense"}, "Enter an e-mail address such as ada@example.com."),
        ({"role": "owner"}, "Select a valid choice."),
        ({"email": "SALES@example.com"}, "This person is already in the list above."),
        ({"email": "invited@example.com"}, "This person has already been invited."),
    ],
)
def test_an_invitation_that_makes_no_sense_is_refused(
    client_as, admin, sales, fields, message
):
    client = client_as(admin)
    invite(client, "invited@example.com")

    page = client.post(PEOPLE, {"email": "new@example.com", "role": "ops", **fields})

    assert message in page.content.decode()
    assert Invitation.objects.count() == len(mail.outbox) == 1


@pytest.mark.parametrize(
    "changes",
    [{"password": "short"}, {"first_name": ""}, {"password": "grace@example.com"}],
)
def test_somebody_new_needs_a_name_and_a_good_password(client_as, admin, changes):
    invite(client_as(admin))

    page = accept(link(), **changes)

    assert "Nothing was saved." in page.content.decode()
    assert User.objects.count() == 1


def test_two_who_accept_one_link_at_once_make_one_member(client_as, admin):
    """Also S10: the form's other fields change nothing."""
    invite(client_as(admin))

    accept(
        link(), email="mallory@example.com", role="admin", company="1", is_staff="on"
    )

    grace = Membership.objects.exclude(pk=admin.pk).get()
    assert (grace.user.email, grace.role, grace.user.is_staff) == (
        "grace@example.com",
        "sales",
        False,
    )


def test_a_new_role_counts_from_the_very_next_request(client_as, admin, sales):
    """S08"""
    theirs = client_as(sales)
    assert theirs.get("/leads/new/").status_code == 200

    page = give_password(client_as(admin)).post(
        f"/company/people/{sales.pk}/role/", {"role": "ops"}, follow=True
    )

    assert texts(page) == ["Sales Jansen now has the role Ops."]
    assert theirs.get("/leads/new/").status_code == 403


def test_a_deactivated_member_is_out_from_the_very_next_request(
    client_as, admin, sales
):
    """S08"""
    theirs, client = client_as(sales), client_as(admin)
    assert is_in(theirs)

    assert (
        "Deactivate <bdi>Sales Jansen</bdi>?"
        in client.get(f"/company/people/{sales.pk}/deactivate/").content.decode()
    )
    assert is_in(theirs)
    client.post(f"/company/people/{sales.pk}/deactivate/")

    assert (
        "An admin of Northwind BV deactivated your access."
        in theirs.get("/leads/").content.decode()
    )
    assert theirs.post("/leads/new/", {"first_name": "Ada"}).status_code == 403
    assert (
        theirs.get("/api/v1/leads/", headers={"Accept": "application/json"}).status_code
        == 403
    )
    assert not Lead.objects.exists()


def test_a_reactivated_member_is_in_again(client_as, admin, sales):
    people.deactivate(membership=sales)

    client_as(admin).post(f"/company/people/{sales.pk}/reactivate/")

    assert is_in(client_as(sales))


@pytest.mark.parametrize("shut_out", ["deactivated", "lowered", "switched off"])
def test_keys_end_with_whoever_made_them(company, admin, shut_out):
    """S08: the API keys of someone who was shut out no longer work from the very next request."""
    second = join(company, Role.ADMIN, email="second@example.com")
    _, text = ApiKey.objects.issue(
        company=company, role="sales", name="Website", user=second.user
    )
    _, other_text = ApiKey.objects.issue(
        company=company, role="sales", name="Website", user=admin.user
    )
    assert call(text) == 200

    if shut_out == "deactivated":
        people.deactivate(membership=second)
    elif shut_out == "lowered":
        people.change_role(membership=second, role=Role.SALES)
    else:
        User.objects.filter(pk=second.user_id).update(is_active=False)

    assert call(text) == 401
    assert call(other_text) == 200


def call(key):
    return (
        Client()
        .get("/api/v1/leads/", headers={"Authorization": f"Bearer {key}"})
        .status_code
    )


def test_the_last_admin_can_not_be_shut_out(client_as, admin):
    page = client_as(admin).post(f"/company/people/{admin.pk}/deactivate/", follow=True)

    admin.refresh_from_db()
    assert texts(page) == [
        "Nothing was changed: no one else can manage the company. Make someone else an admin first."
    ]
    assert (admin.role, admin.is_active) == ("admin", True)
    assert not AuditEntry.objects.filter(
        action__in=["role_changed", "member_deactivated"]
    ).exists()


def test_the_page_says_before_that_the_last_admin_can_not_be_deactivated(
    client_as, admin, company
):
    client, question = client_as(admin), f"/company/people/{admin.pk}/deactivate/"

    alone = client.get(question).content.decode()
    join(company, Role.ADMIN, email="second@example.com")
    with_another = client.get(question).content.decode()

    told = (
        "can't be deactivated yet",
        "Make someone else an admin first.",
        "you lose access at once",
    )
    assert [words in alone for words in told] == [True, True, False]
    assert [words in with_another for words in told] == [False, False, True]
    assert [page.count(">Deactivate</button>") for page in (alone, with_another)] == [
        0,
        1,
    ]


def test_an_admin_can_not_demote_themselves(client_as, admin, company):
    join(company, Role.ADMIN, email="second@example.com")

    page = client_as(admin).post(
        f"/company/people/{admin.pk}/role/", {"role": "sales"}, follow=True
    )

    admin.refresh_from_db()
    assert texts(page) == [
        "Nothing was changed: you would lose access to this page. Ask another admin to do it."
    ]
    assert admin.role == "admin"
    assert not AuditEntry.objects.filter(action="role_changed").exists()


def test_the_last_admin_who_can_come_in_can_not_be_demoted(admin):
    with pytest.raises(people.LastAdmin):
        people.change_role(membership=admin, role="sales")

    admin.refresh_from_db()
    assert admin.role == "admin"


def test_an_admin_who_is_shut_out_or_switched_off_does_not_count_as_another(
    company, admin
):
    people.deactivate(membership=join(company, Role.ADMIN, email="second@example.com"))
    switched_off = join(company, Role.ADMIN, email="third@example.com")
    User.objects.filter(pk=switched_off.user_id).update(is_active=False)

    with pytest.raises(people.LastAdmin):
        people.deactivate(membership=admin)


@pytest.mark.django_db(transaction=True)
def test_two_admins_who_shut_each_other_out_at_once_leave_one(company):
    for _ in range(10):
        Membership.objects.all().delete()
        User.objects.all().delete()
        pair = [
            join(company, Role.ADMIN, email=f"{name}@example.com")
            for name in ("ada", "grace")
        ]
        barrier, refused = threading.Barrier(2), []

        def shut_out(membership, barrier=barrier, refused=refused):
            barrier.wait()
            try:
                people.deactivate(membership=membership)
            except people.LastAdmin:
                refused.append(membership)
            connections.close_all()

        threads = [threading.Thread(target=shut_out, args=[one]) for one in pair]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert Membership.objects.active().count() == len(refused) == 1


def test_what_is_done_to_people_is_on_record_without_an_address(
    client_as, admin, sales
):
    client = give_password(client_as(admin))
    AuditEntry.objects.all()._raw_delete("default")

    invite(client)
    client.post(f"/company/people/{sales.pk}/role/", {"role": "ops"})
    client.post(f"/company/people/{sales.pk}/deactivate/")
    client.post(f"/company/people/{sales.pk}/reactivate/")
    an_hour_passes()
    client.post(f"/company/invitations/{Invitation.objects.get().pk}/resend/")
    accept(link())

    entries = AuditEntry.objects.exclude(action="sign_in").order_by("pk")
    invitation, grace = (
        Invitation.objects.get().pk,
        User.objects.get(email="grace@example.com").pk,
    )
    assert list(
        entries.values_list("action", "actor_name", "object_label", "details")
    ) == [
        ("member_invited", "Admin Jansen", f"Invitation {invitation} (sales)", {}),
        (
            "role_changed",
            "Admin Jansen",
            f"Sales Jansen ({sales.user_id})",
            {"role": "ops"},
        ),
        ("member_deactivated", "Admin Jansen", f"Sales Jansen ({sales.user_id})", {}),
        (
            "member_reactivated",
            "Admin Jansen",
            f"Sales Jansen ({sales.user_id})",
            {"role": "ops"},
        ),
        ("invitation_renewed", "Admin Jansen", f"Invitation {invitation} (sales)", {}),
        (
            "member_joined",
            "Grace Hopper",
            f"Grace Hopper ({grace})",
            {"invitation": invitation, "role": "sales"},
        ),
    ]
    assert "@" not in str(list(entries.values()))


def test_revoking_an_invitation_is_on_record_once(client_as, admin):
    client = client_as(admin)
    invite(client)
    invitation = Invitation.objects.get()

    client.post(f"/company/invitations/{invitation.pk}/revoke/")
    client.post(f"/company/invitations/{invitation.pk}/revoke/")
    people.revoke_invitation(invitation=invitation)
    an_hour_passes()
    people.renew_invitation(invitation=invitation)

    entries = AuditEntry.objects.filter(action__startswith="invitation")
    assert list(entries.values_list("action", "actor_name", "object_label")) == [
        ("invitation_revoked", "Admin Jansen", f"Invitation {invitation.pk} (sales)")
    ]


def test_nobody_but_admins_sees_or_changes_people(client_as, sales, ops, admin):
    for member in (sales, ops):
        client = client_as(member)
        codes = [
            client.get(PEOPLE).status_code,
            invite(client).status_code,
            client.post(
                f"/company/people/{member.pk}/role/", {"role": "admin"}
            ).status_code,
            client.post(f"/company/people/{admin.pk}/deactivate/").status_code,
        ]
        assert codes == [403] * 4
    assert set(Membership.objects.values_list("role", "is_active")) == {
        ("admin", True),
        ("sales", True),
        ("ops", True),
    }
    assert not Invitation.objects.exists()


def test_people_of_another_company_are_not_found(client_as, admin, other_company):
    """S01"""
    theirs = join(other_company, Role.SALES)
    invitation = Invitation.objects.create(
        company=other_company, email="x@example.com", role="ops", token_sha256="x"
    )
    client = client_as(admin)

    codes = [
        client.post(
            f"/company/people/{theirs.pk}/role/", {"role": "admin"}
        ).status_code,
        client.get(f"/company/people/{theirs.pk}/deactivate/").status_code,
        client.post(f"/company/people/{theirs.pk}/deactivate/").status_code,
        client.post(f"/company/people/{theirs.pk}/reactivate/").status_code,
        client.post(f"/company/invitations/{invitation.pk}/resend/").status_code,
        client.post(f"/company/invitations/{invitation.pk}/revoke/").status_code,
    ]

    assert codes == [404] * 6
    assert "x@example.com" not in client.get(PEOPLE).content.decode()
    assert (theirs.role, Membership.objects.get(pk=theirs.pk).is_active) == (
        "sales",
        True,
    )


def test_an_invitation_is_for_sales_unless_another_role_is_chosen(client_as, admin):
    assert (
        '<option value="sales" selected>'
        in client_as(admin).get("/company/people/").content.decode()
    )
