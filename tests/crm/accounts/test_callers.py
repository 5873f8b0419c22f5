"""Which company a request is counted for, before its session or API key has been read."""

import pytest
from django.urls import reverse

from crm.accounts import callers
from crm.accounts.callers import COMPANY, Caller, KnownCallers
from crm.models import ApiKey

pytestmark = pytest.mark.django_db

ADDRESS = "192.0.2.1"


@pytest.fixture
def known() -> KnownCallers:
    return KnownCallers()


def environ(**headers: str) -> dict[str, str]:
    return {
        "REMOTE_ADDR": ADDRESS,
        **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
    }


def answered(known: KnownCallers, response, **headers: str) -> Caller:
    """Who a second request with these headers is of, after this response to the first one."""
    request = response.wsgi_request
    known.learn({**environ(**headers), COMPANY: request.META[COMPANY]})
    return known.find(environ(**headers))


def test_without_a_session_it_is_the_address(known, settings) -> None:
    assert known.find(environ()) == Caller(ADDRESS)

    settings.TRUSTED_PROXIES = [ADDRESS]

    assert known.find(environ(x_forwarded_for="203.0.113.7")) == Caller("203.0.113.7")
    assert known.find(environ(x_forwarded_for="2001:db8::7")) == Caller("2001:db8::/64")


def test_an_unknown_session_is_its_address(known) -> None:
    assert known.find(environ(cookie="sessionid=guessed")) == Caller(ADDRESS)


def test_a_member_is_known_from_the_second_request(known, client_as, sales) -> None:
    response = client_as(sales).get(reverse("leads"))

    caller = answered(known, response, cookie="theme=dark; sessionid=theirs")

    assert caller.company == sales.company_id
    assert known.find(environ(cookie="sessionid=theirs")) == caller
    assert known.find(environ(cookie="sessionid=another")) == Caller(ADDRESS)


def test_an_api_key_is_known_from_the_second_request_until_it_is_revoked(
    known, client, admin
) -> None:
    key, text = ApiKey.objects.issue(company=admin.company, role="admin", name="Import")
    headers = {"authorization": f"Bearer {text}"}
    response = client.get("/api/v1/leads/", headers=headers)
    assert answered(known, response, **headers).company == admin.company_id

    key.delete()

    assert answered(
        known, client.get("/api/v1/leads/", headers=headers), **headers
    ) == Caller(ADDRESS)


def test_a_person_without_a_company_is_their_address(
    known, client, django_user_model
) -> None:
    client.force_login(
        django_user_model.objects.create_user("new@example.com", "new@example.com")
    )

    assert answered(
        known, client.get(reverse("leads")), cookie="sessionid=theirs"
    ) == Caller(ADDRESS)


def test_who_varies_what_is_not_read_stays_who_they_are(known) -> None:
    known.learn({**environ(cookie="sessionid=theirs"), COMPANY: 7})
    known.learn({**environ(authorization="Bearer lm_theirs"), COMPANY: 8})

    assert (
        known.find(environ(cookie="sessionid=theirs", authorization="Basic 1")).company
        == 7
    )
    assert (
        known.find(
            environ(cookie="sessionid=forged", authorization="Bearer lm_theirs")
        ).company
        == 8
    )


def test_what_names_no_company_changes_nothing(known) -> None:
    known.learn({**environ(cookie="sessionid=theirs"), COMPANY: 7})
    known.learn(environ(cookie="sessionid=theirs"))

    assert known.find(environ(cookie="sessionid=theirs")).company == 7


def test_the_memory_is_bounded(known, monkeypatch) -> None:
    monkeypatch.setattr(callers, "KNOWN_AT_MOST", 2)
    for number in range(3):
        known.learn({**environ(cookie=f"sessionid={number}"), COMPANY: number})

    assert [
        known.find(environ(cookie=f"sessionid={number}")).company for number in range(3)
    ] == [ADDRESS, ADDRESS, 2]
