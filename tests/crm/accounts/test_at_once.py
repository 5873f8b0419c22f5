"""Two people do the same at once: the form tells the second what it would have told them a moment later."""

import threading
from contextlib import suppress

import pytest
from allauth.account.managers import EmailAddressManager
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialLogin
from django.db import connections
from django.test import Client

from crm.accounts.company_admission import CompanySignInAdapter
from crm.models import Company, Invitation, SignInProvider, User
from crm.services.people import confirm_address
from tests.conftest import code_now, give_password
from tests.crm.accounts.conftest import confirm_password, link, sign_in
from tests.crm.accounts.device import Device
from tests.crm.accounts.test_company_sign_in import begin, is_in, provider, server  # noqa: F401 - fixtures
from tests.crm.accounts.test_passkeys import NEW, browser
from tests.crm.accounts.test_people_page import GONE, accept, invite
from tests.crm.accounts.test_sign_up import sign_up
from tests.crm.views.test_sign_in_provider import values
from tests.faults.threads import in_threads

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def first(monkeypatch):
    """Lets someone else, on a connection of their own, finish the same after the form was checked and before it writes
    its first row of this model."""

    def comes_first(model, does):
        save, others = model.save, []

        def someone_else() -> None:
            does()
            connections.close_all()

        def saved_second(row, *args, **kwargs):
            if not others:
                others.append(threading.Thread(target=someone_else))
                others[0].start()
                others[0].join()
            return save(row, *args, **kwargs)

        monkeypatch.setattr(model, "save", saved_second)

    return comes_first


def test_two_sign_up_with_one_address(first):
    first(User, lambda: sign_up(Client()))

    assert sign_up(Client()).url == "/confirm-email/"

    assert User.objects.count() == Company.objects.count() == 1


def test_two_accept_one_invitation(first, client_as, admin):
    invite(client_as(admin))
    path = link()
    first(User, lambda: accept(path))

    assert GONE in accept(path).content.decode()

    assert User.objects.filter(email="grace@example.com").count() == 1


def test_two_admins_invite_one_person(first, client_as, admin):
    one, other = client_as(admin), client_as(admin)
    first(Invitation, lambda: invite(other))

    assert "This person has already been invited." in invite(one).content.decode()

    assert Invitation.objects.count() == 1


def test_one_person_sets_up_an_app_twice(first, sales):
    client = Client()
    sign_in(client)
    confirm_password(client)
    form = {"code": code_now(client.get("/account/app/on/").context["form"].secret)}
    other = Client()
    other.cookies.update(client.cookies)
    first(Authenticator, lambda: other.post("/account/app/on/", form))

    assert client.post("/account/app/on/", form).url == "/account/app/off/"

    assert Authenticator.objects.filter(type=Authenticator.Type.TOTP).count() == 1


def test_two_people_register_one_passkey(first, sales, ops):
    device, clients = Device(), []
    for member in (sales, ops):
        client = browser()
        sign_in(client, member.user.email)
        confirm_password(client)
        clients.append(
            (client, device.create(client.get(NEW).context["passkey_options"]))
        )
    (client, credential), (other, same) = clients
    first(Authenticator, lambda: other.post(NEW, {"name": "A", "credential": same}))

    page = client.post(NEW, {"name": "B", "credential": credential})

    assert "This passkey is in use already." in page.content.decode()
    assert Authenticator.objects.get(type="webauthn").user == ops.user


@pytest.mark.parametrize(
    ("second", "answered"), [("grace@example.com", 200), ("hopper@example.com", 302)]
)
def test_one_person_changes_the_address_twice(
    monkeypatch, client_as, sales, second, answered
):
    confirm_address(sales.user)
    clients = [give_password(client_as(sales)) for _ in range(2)]
    both, get_new = threading.Barrier(2), EmailAddressManager.get_new

    def when_both_have_begun(*args):
        with suppress(threading.BrokenBarrierError):
            both.wait(timeout=0.5)
        return get_new(*args)

    monkeypatch.setattr(EmailAddressManager, "get_new", when_both_have_begun)
    answers = []

    def change(number):
        form = {"action_add": "1", "email": ("grace@example.com", second)[number]}
        answers.append(clients[number].post("/account/address/", form))

    in_threads(2, change)

    assert sorted(answer.status_code for answer in answers) == [answered, 302]
    assert all(
        "you have yet to confirm" in answer.content.decode()
        for answer in answers
        if answer.status_code == 200
    )
    assert EmailAddress.objects.filter(user=sales.user, verified=False).count() == 1


def test_two_admins_set_up_a_provider(first, client_as, admin, company, server):  # noqa: F811
    one, other = (give_password(client_as(admin)) for _ in range(2))
    first(SignInProvider, lambda: other.post("/company/sign-in/", values(server)))

    assert one.post("/company/sign-in/", values(server)).status_code == 302

    assert SignInProvider.objects.for_company(company).count() == 1


# The first sign-in with a company's provider


def back_from(server, client, provider, **person):  # noqa: F811
    """The path that the provider sends this person back to."""
    server.person = {**server.person, **person}
    return server.authorize(begin(client, provider)).removeprefix(
        "https://crm.example.com"
    )


def test_one_person_comes_in_twice_at_first(monkeypatch, provider, server, sales):  # noqa: F811
    client, other = Client(), Client()
    path, others = (back_from(server, each, provider) for each in (client, other))
    before = CompanySignInAdapter.pre_social_login

    def other_comes_first(*args):
        monkeypatch.setattr(CompanySignInAdapter, "pre_social_login", before)
        other.get(others)
        before(*args)

    monkeypatch.setattr(CompanySignInAdapter, "pre_social_login", other_comes_first)
    client.get(path)

    assert is_in(client)
    assert is_in(other)


def test_of_two_ids_with_one_address_only_one_comes_in(
    monkeypatch,
    provider,  # noqa: F811
    server,  # noqa: F811
    sales,
):
    clients = [Client(), Client()]
    paths = [
        back_from(server, each, provider, sub=f"sub-{number}")
        for number, each in enumerate(clients)
    ]
    both, connect = threading.Barrier(2), SocialLogin.connect

    def when_both_were_checked(*args):
        with suppress(threading.BrokenBarrierError):
            both.wait(timeout=0.5)
        connect(*args)

    monkeypatch.setattr(SocialLogin, "connect", when_both_were_checked)
    in_threads(2, lambda number: clients[number].get(paths[number]))

    assert SocialAccount.objects.count() == 1
    assert sorted(map(is_in, clients)) == [False, True]
