"""S50: passkeys as the second factor and for signing in, and what is no passkey of ours."""

import json

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal.auth import STATE_SESSION_KEY
from django.core import mail
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.test import Client
from fido2.utils import websafe_encode

from tests.crm.accounts.conftest import confirm_password, is_in, set_up_app, sign_in
from tests.crm.accounts.device import PRESENT, Device
from tests.security import odd_values

pytestmark = [pytest.mark.django_db, pytest.mark.covers("S50")]

NEW, LIST, SIGN_IN, CODE = (
    "/account/passkeys/new/",
    "/account/passkeys/",
    "/login/passkey/",
    "/login/code/",
)
NOT_CHECKED = "This passkey could not be checked."


def browser(**options):
    """A client at an address by name: passkeys are bound to it."""
    return Client(SERVER_NAME="localhost", **options)


@pytest.fixture
def client(sales):
    """Signed in, with the password given a moment ago."""
    client = browser()
    sign_in(client)
    confirm_password(client)
    return client


def add(client, device, name="My phone"):
    options = client.get(NEW).context["passkey_options"]
    return client.post(
        NEW, {"name": name, "credential": device.create(options)}, follow=True
    )


@pytest.fixture
def device(client):
    """A device with a passkey of the sales person, added in `client`."""
    device = Device()
    add(client, device)
    return device


def sign_in_options(client):
    return client.get(SIGN_IN, headers={"Accept": "application/json"}).json()[
        "request_options"
    ]


def test_the_first_passkey_comes_with_recovery_codes_and_a_mail(client):
    page = add(client, Device())

    assert page.redirect_chain[-1][0] == "/account/recovery-codes/"
    assert len(page.context["unused_codes"]) == 10
    assert [message.subject for message in mail.outbox][:1] == ["A passkey was added"]
    assert "My phone" in client.get(LIST).content.decode()


def test_a_passkey_signs_in_without_password_and_shows_when_it_was_used(device, sales):
    client = browser()

    response = client.post(
        SIGN_IN, {"credential": device.get(sign_in_options(client)), "next": "/leads/"}
    )

    assert response.url == "/leads/"
    assert is_in(client)
    assert "last used" in client.get(LIST).content.decode()


def test_the_password_alone_no_longer_lets_one_in_but_with_the_passkey(device):
    client = browser()

    assert sign_in(client).url == CODE
    assert not is_in(client)
    page = client.get(CODE)
    client.post(CODE, {"credential": device.get(page.context["passkey_options"])})

    assert is_in(client)


def test_a_recovery_code_stands_in_for_a_lost_device(client):
    code = add(client, Device()).context["unused_codes"][0]
    other = browser()
    sign_in(other)

    other.post(CODE, {"code": code})

    assert is_in(other)


def test_with_an_app_the_page_offers_both(device, sales):
    set_up_app(sales.user)
    client = browser()
    sign_in(client)

    page = client.get(CODE).content.decode()

    assert "Use your passkey" in page
    assert "authenticator app" in page


def test_without_a_passkey_the_page_for_codes_offers_none(sales):
    set_up_app(sales.user)
    client = browser()
    sign_in(client)

    assert "data-passkey" not in client.get(CODE).content.decode()


def test_a_passkey_confirms_who_one_is(device, clock):
    client = browser()
    client.post(SIGN_IN, {"credential": device.get(sign_in_options(client))})
    clock.goes_on(seconds=301)
    assert client.get("/account/app/on/").status_code == 302
    options = client.get("/account/confirm/passkey/").context["passkey_options"]

    client.post("/account/confirm/passkey/", {"credential": device.get(options)})

    assert client.get("/account/app/on/").status_code == 200


@pytest.mark.parametrize("path", [NEW, LIST + "{}/remove/", LIST + "{}/name/"])
def test_changing_passkeys_needs_the_password_again(device, path):
    client = browser()
    client.post(SIGN_IN, {"credential": device.get(sign_in_options(client))})
    path = path.format(Authenticator.objects.get(type="webauthn").pk)

    assert client.get(path).url.startswith("/account/confirm/?next=")
    assert client.post(path, {"name": "Mine"}).url.startswith("/account/confirm/?next=")

    assert Authenticator.objects.get(type="webauthn").wrap().name == "My phone"


def test_a_passkey_is_renamed_and_removed_with_a_mail(client, device):
    pk = Authenticator.objects.get(type="webauthn").pk

    client.post(f"{LIST}{pk}/name/", {"name": "Old phone"})
    assert "Old phone" in client.get(LIST).content.decode()
    client.post(f"{LIST}{pk}/remove/")

    assert not Authenticator.objects.exists()
    assert mail.outbox[-1].subject == "A passkey was removed"


@pytest.mark.parametrize("path", ["name", "remove"])
def test_someone_elses_passkey_does_not_exist(device, ops, path):
    client = browser()
    sign_in(client, ops.user.email)
    confirm_password(client)
    pk = Authenticator.objects.get(type="webauthn").pk

    assert client.get(f"{LIST}{pk}/{path}/").status_code == 404
    assert client.post(f"{LIST}{pk}/{path}/", {"name": "Mine"}).status_code == 404


def without_finger(device):
    device.flags = PRESENT


def from_elsewhere(device):
    device.origin = "https://leadmachine.example.org"


def with_another_key(device):
    device.key = Device().key


def without_key(device):
    device.attested = 0


def for_another_user(device):
    device.handle = "MQ"  # "1", in base64


@pytest.mark.parametrize(
    "lie", [without_finger, from_elsewhere, with_another_key, for_another_user]
)
def test_a_device_that_lies_lets_nobody_in(device, lie):
    client = browser()
    lie(device)

    page = client.post(
        SIGN_IN, {"credential": device.get(sign_in_options(client))}, follow=True
    )

    assert NOT_CHECKED in page.content.decode()
    assert not is_in(client)


@pytest.mark.parametrize("lie", [without_finger, from_elsewhere, without_key])
def test_a_device_that_lies_is_not_added(client, lie):
    device = Device()
    lie(device)

    page = add(client, device)

    assert NOT_CHECKED in page.content.decode()
    assert not Authenticator.objects.exists()


def test_what_was_recorded_on_the_wire_lets_nobody_in_again(device):
    first = browser()
    recorded = device.get(sign_in_options(first))
    first.post(SIGN_IN, {"credential": recorded})

    for client in (browser(), first):
        client.post("/logout/")
        sign_in_options(client)
        client.post(SIGN_IN, {"credential": recorded})

        assert not is_in(client)


def test_a_passkey_of_someone_else_is_no_second_factor(device, ops, client_as):
    theirs, hers = browser(), Device()
    sign_in(theirs, ops.user.email)
    confirm_password(theirs)
    add(theirs, hers)
    client = browser()
    sign_in(client)  # the password of sales is known

    options = client.get(CODE).context["passkey_options"]
    page = client.post(CODE, {"credential": hers.get(options)})

    assert NOT_CHECKED in page.content.decode()
    assert not is_in(client)


def test_a_deactivated_user_is_not_let_in(device, sales):
    sales.user.is_active = False
    sales.user.save()
    client = browser()

    client.post(SIGN_IN, {"credential": device.get(sign_in_options(client))})

    assert not is_in(client)


def odd_credentials(device, options):
    """What no browser sends: each part of a credential missing, of another type, or cut off."""
    whole = json.loads(device.get(options))
    yield from odd_values.BODIES
    for part in ("id", "rawId", "type", "response"):
        yield from (
            json.dumps({**whole, part: odd}) for odd in (None, 1, [], {}, "é", "A")
        )
    for part in whole["response"]:
        for odd in (
            None,
            1,
            [],
            {},
            "é",
            "A",
            "AAAA",
            "pyA",
            whole["response"][part][:40],
            "z" * 4000,
        ):
            yield json.dumps({**whole, "response": {**whole["response"], part: odd}})


def test_no_odd_credential_is_more_than_refused(device):
    client = browser()
    options = sign_in_options(client)
    assert STATE_SESSION_KEY in client.session
    with_another_key(device)  # what can be parsed is not signed

    for at, odd in enumerate(odd_credentials(device, options)):
        response = client.post(
            SIGN_IN, {"credential": odd}, REMOTE_ADDR=f"198.51.100.{at}"
        )

        assert response.url.startswith("/login/"), odd
        assert not is_in(client), odd


def test_no_odd_new_passkey_is_more_than_refused(client):
    whole = json.loads(Device().create(client.get(NEW).context["passkey_options"]))
    odd_ones = [*odd_values.BODIES, json.dumps({**whole, "response": []})]
    for part in whole["response"]:
        odd_ones += [
            json.dumps({**whole, "response": {**whole["response"], part: odd}})
            for odd in (1, {}, "A", "pyA")
        ]

    for odd in odd_ones:
        assert (
            client.post(NEW, {"name": "Odd", "credential": odd}).status_code == 200
        ), odd

    assert not Authenticator.objects.exists()


IN_USE = "This passkey is in use already."


def someone_else(ops):
    """A client of another person, who may add passkeys."""
    other = browser()
    sign_in(other, ops.user.email)
    confirm_password(other)
    return other


def test_one_passkey_is_not_registered_for_two_people(client, device, ops):
    copy = Device()  # another key, under the id that the device has
    copy.id = device.id

    page = add(someone_else(ops), copy)

    assert IN_USE in page.content.decode()
    assert Authenticator.objects.filter(type="webauthn").count() == 1


def spelt_in_another_way(options, device):
    credential = json.loads(device.create(options))
    credential["id"] = credential["rawId"] = credential["id"] + "=" * (
        -len(credential["id"]) % 4
    )
    return json.dumps(credential)


def claimed_to_be_another(options, device):
    credential = json.loads(device.create(options))
    credential["id"] = credential["rawId"] = "AAAA"
    return json.dumps(credential)


@pytest.mark.parametrize("write", [spelt_in_another_way, claimed_to_be_another])
def test_the_id_of_a_passkey_is_the_one_in_its_data(client, device, ops, write):
    other, copy = someone_else(ops), Device()
    copy.id = device.id
    options = other.get(NEW).context["passkey_options"]

    page = other.post(NEW, {"name": "Odd", "credential": write(options, copy)})

    assert IN_USE in page.content.decode()


def test_a_passkey_is_stored_under_the_id_in_its_data(client, sales):
    device = Device()
    options = client.get(NEW).context["passkey_options"]

    client.post(
        NEW, {"name": "Odd", "credential": claimed_to_be_another(options, device)}
    )

    assert Authenticator.objects.get(type="webauthn").data["credential"][
        "id"
    ] == websafe_encode(device.id)


def test_the_database_refuses_a_second_passkey_of_one_id(device, ops):
    [first] = Authenticator.objects.filter(type="webauthn")

    with pytest.raises(IntegrityError), transaction.atomic():
        Authenticator.objects.create(user=ops.user, type="webauthn", data=first.data)


def test_nobody_has_more_than_twenty(client, device, sales):
    [first] = Authenticator.objects.filter(type="webauthn")
    Authenticator.objects.bulk_create(
        Authenticator(
            user=sales.user,
            type="webauthn",
            data={
                **first.data,
                "credential": {**first.data["credential"], "id": own, "rawId": own},
            },
        )
        for own in (websafe_encode(bytes([number])) for number in range(19))
    )

    page = add(client, Device())

    assert "You have 20 passkeys." in page.content.decode()


def test_the_operators_staff_get_in_with_a_passkey(device, sales):
    sales.user.is_staff = sales.user.is_superuser = True
    sales.user.save()
    client = browser()

    client.post(SIGN_IN, {"credential": device.get(sign_in_options(client))})

    assert client.get("/admin/").status_code == 200


def test_staff_who_gave_no_passkey_in_this_session_are_asked_for_it(
    device, sales, client_as
):
    sales.user.is_staff = sales.user.is_superuser = True
    sales.user.save()

    response = client_as(sales).get("/admin/login/")

    assert response.url == "/account/confirm/passkey/?next=/admin/"


def test_resetting_the_second_factor_removes_passkeys_too(device, capsys):

    call_command("reset_second_factor", "sales@example.com")

    assert "passkeys and recovery codes removed" in capsys.readouterr().out
    assert not Authenticator.objects.exists()
