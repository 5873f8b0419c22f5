"""No one can make LeadMachine mail strangers as often as they like, or with a text of their own."""

import pytest
from django.core import mail
from django.core.exceptions import ValidationError
from django.test import Client

from crm.models import AccountMail, Company, Invitation, User
from crm.models.roles import Role
from crm.models.validators import validate_name
from crm.services import people, rate_limits
from tests.conftest import join
from tests.crm.accounts.conftest import confirm_password, sign_in
from tests.crm.accounts.test_people_page import accept, an_hour_passes, invite, link
from tests.crm.accounts.test_sign_up import sign_up

pytestmark = pytest.mark.django_db

TOO_SOON = (
    "This person got an invitation a moment ago. Wait ten minutes, then try again."
)


@pytest.fixture(autouse=True)
def _long_hours(monkeypatch):
    """Stops the clock of the rate limits: no hour or day ends in the middle of a test."""
    monkeypatch.setattr(rate_limits.time, "time", lambda: 1_800_000_000.0)


def test_an_invitation_is_not_sent_again_within_ten_minutes(client_as, admin):
    client = client_as(admin)
    invite(client)
    resend = f"/company/invitations/{Invitation.objects.get().pk}/resend/"

    page = client.post(resend, follow=True)
    at_once = len(mail.outbox)
    an_hour_passes()
    client.post(resend)

    assert TOO_SOON in page.content.decode()
    assert (at_once, len(mail.outbox)) == (1, 2)


def test_revoking_it_and_inviting_again_is_no_way_round(client_as, admin):
    client = client_as(admin)
    invite(client)
    client.post(f"/company/invitations/{Invitation.objects.get().pk}/revoke/")

    page = invite(client, "GRACE@example.com")

    assert TOO_SOON in page.content.decode()
    assert 'value="grace@example.com"' in page.content.decode().lower()
    assert Invitation.objects.count() == len(mail.outbox) == 1


def test_someone_who_joined_and_left_may_be_invited_at_once(client_as, admin):
    client = client_as(admin)
    invite(client)
    accept(link())
    User.objects.get(email="grace@example.com").delete()

    invite(client)

    assert [message.to for message in mail.outbox] == [["grace@example.com"]] * 2


def test_a_company_sends_so_many_invitations_an_hour_and_another_is_counted_for_itself(
    client_as, admin, other_company, settings
):
    settings.INVITATIONS_PER_HOUR = 2
    client = client_as(admin)
    theirs = client_as(join(other_company, Role.ADMIN, email="theirs@example.com"))

    pages = [invite(client, f"person{number}@example.com") for number in range(3)]
    invite(theirs, "person@example.com")

    assert [page.status_code for page in pages] == [302, 302, 200]
    assert "Your company may send 2 invitations an hour." in pages[2].content.decode()
    assert Invitation.objects.for_company(admin.company).count() == 2
    assert len(mail.outbox) == 3


def test_a_refused_invitation_is_not_on_record(company, admin, settings):
    settings.INVITATIONS_PER_HOUR = 0

    with pytest.raises(people.TooManyInvitations):
        people.invite(
            company=company,
            email="grace@example.com",
            role="ops",
            invited_by=admin.user,
        )

    assert not Invitation.objects.exists()
    assert not company.audit_entries.exists()


def test_so_many_sign_ups_a_day_come_from_one_network(db, settings):
    settings.SIGNUPS_PER_DAY = 2

    pages = [
        sign_up(Client(), email=f"person{number}@example.com") for number in range(3)
    ]

    assert [page.status_code for page in pages] == [302, 302, 200]
    assert "Too many sign-ups today" in pages[2].content.decode()
    assert Company.objects.count() == len(mail.outbox) == 2


@pytest.mark.parametrize("email", ["new@example.com", "sales@example.com"])
def test_three_sign_ups_a_day_use_one_address_whether_it_has_an_account_or_not(
    sales, email
):
    clients = [Client(REMOTE_ADDR=f"203.0.113.{number}") for number in range(4)]

    pages = [sign_up(client, email=email) for client in clients]

    assert [page.status_code for page in pages] == [302, 302, 302, 200]
    assert "Too many sign-ups today" in pages[3].content.decode()
    assert not AccountMail.objects.exists()


@pytest.fixture
def signed_in(sales):
    client = Client()
    sign_in(client)
    confirm_password(client)
    return client


def new_address(client, email):
    return client.post("/account/address/", {"action_add": "1", "email": email})


def test_an_address_gets_five_links_a_day_and_the_page_says_so(signed_in, clock):
    new_address(signed_in, "stranger@example.com")
    for _ in range(6):
        clock.goes_on(seconds=200)
        confirm_password(signed_in)
        signed_in.post(
            "/account/address/", {"action_send": "1", "email": "stranger@example.com"}
        )
    new_address(signed_in, "another@example.com")
    page = new_address(signed_in, "stranger@example.com")

    assert [message.to for message in mail.outbox] == [["stranger@example.com"]] * 5 + [
        ["another@example.com"]
    ]
    assert (
        "We have just sent a link to this address, or five today."
        in page.content.decode()
    )


def test_who_never_confirmed_is_written_to_five_times_a_day(db, clock):
    sign_up(Client())
    for _ in range(6):
        clock.goes_on(seconds=200)
        sign_in(Client(), "ada@example.com")

    assert len(mail.outbox) == 5


def test_one_person_writes_to_twenty_new_addresses_a_day(signed_in, clock):
    for number in range(20):
        clock.goes_on(seconds=7)
        signed_in.post(
            "/account/address/",
            {"action_send": "1", "email": f"stranger{number}@example.com"},
        )

    assert new_address(signed_in, "stranger@example.com").status_code == 429
    assert mail.outbox == []


def test_a_person_gets_five_links_for_a_new_password_an_hour(sales, clock):
    for number in range(7):
        clock.goes_on(seconds=61)
        answer = Client(REMOTE_ADDR=f"203.0.113.{number}").post(
            "/password/reset/", {"email": "sales@example.com"}
        )

    assert answer.status_code == 429
    assert len(mail.outbox) == 5


def test_a_form_with_a_mistake_is_not_counted(db, settings):
    settings.SIGNUPS_PER_DAY = 1
    sign_up(Client(), password1="short")

    assert sign_up(Client()).status_code == 302


ADDRESSES = (
    "https://evil.example",
    "Prize: www.evil.example",
    "WWW.Evil.example",
    "http\uff1a\uff0f\uff0fevil.example",
)


@pytest.mark.parametrize("name", ADDRESSES)
@pytest.mark.parametrize("field", ["company", "first_name", "last_name"])
def test_no_name_has_a_web_address(db, field, name):
    page = sign_up(Client(), **{field: name})

    assert "Enter a name without a web address" in page.content.decode()
    assert not Company.objects.exists()
    assert mail.outbox == []


def test_no_name_gets_one_later(client_as, admin):
    client = client_as(admin)
    form = {"currency": "EUR", "time_zone": "UTC"}

    company = client.post("/company/", {"name": ADDRESSES[0], **form})
    person = client.post(
        "/account/",
        {"first_name": ADDRESSES[1], "last_name": "", "date_style": "named"},
    )
    invite(client)
    member = accept(link(), first_name=ADDRESSES[2])

    for page in (company, person, member):
        assert "Enter a name without a web address" in page.content.decode()


@pytest.mark.parametrize(
    "name", ["Booking.com", "Notino.cz & Co", "Sawwww Ltd", "A/B Test // Lab", "Ada"]
)
def test_a_name_with_a_dot_is_a_name(name):
    validate_name(name)


def test_a_name_with_a_web_address_is_refused():
    with pytest.raises(ValidationError):
        validate_name("see http://evil.example")
