"""List-Unsubscribe in mails about alerts: one click stops them, for this person, company and topic."""

import re

import pytest
from django.db.models.functions import Now
from django.test import Client

from capi.alerts import notifications
from capi.alerts.mail_choices import MailTopic, choices_of, unsubscribe_token
from capi.models import Connection
from crm.services.people import deactivate
from tests.capi.alerts.conftest import look
from tests.capi.alerts.post_office import PostOffice

pytestmark = [pytest.mark.django_db, pytest.mark.covers("S56")]


@pytest.fixture
def stranger() -> Client:
    """A mail program: no session, no cookies, no CSRF token."""
    return Client(enforce_csrf_checks=True)


def address(membership, topic=MailTopic.ALERTS) -> str:
    return f"/mail/unsubscribe/{unsubscribe_token(membership.company_id, membership.user_id, topic)}/"


def wants(membership) -> tuple[bool, bool]:
    (own,) = [
        choice
        for choice in choices_of(membership.company)
        if choice.membership == membership
    ]
    return own.alerts, own.weekly


def test_a_mail_names_the_address_that_ends_such_mails(
    company, admin, line, make_rule, stranger
):
    make_rule(name="New lead")
    Connection.objects.update(
        is_paused=True, paused_reason="token_refused", paused_at=Now()
    )
    look(company)
    notifications.send_due()
    (mail,) = PostOffice.taken

    found = re.fullmatch(
        r"<https://crm\.example\.com(/mail/unsubscribe/\S+)>",
        mail.extra_headers["List-Unsubscribe"],
    )
    assert found
    response = stranger.post(found[1], {"List-Unsubscribe": "One-Click"})

    assert mail.extra_headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert response.status_code == 200
    assert wants(admin) == (False, False)  # the second was off before


def test_a_browser_asks_first(admin, stranger):
    page = stranger.get(address(admin, MailTopic.WEEKLY))

    assert "Unsubscribe?" in page.content.decode()
    assert (
        "about the weekly reconcile from <bdi>Northwind BV</bdi>"
        in page.content.decode()
    )
    assert wants(admin) == (True, True)


def test_pressing_twice_is_as_once(admin, stranger):
    for _ in range(2):
        assert (
            "You are unsubscribed"
            in stranger.post(address(admin, MailTopic.WEEKLY)).content.decode()
        )

    assert wants(admin) == (True, False)


@pytest.mark.parametrize("token", ["nothing", "WzEsMSwiYWxlcnRzIl0:1tKJcF:forged"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_an_invalid_link_is_not_found(admin, stranger, method, token):
    response = getattr(stranger, method)(f"/mail/unsubscribe/{token}/")

    assert response.status_code == 404
    assert wants(admin) == (True, True)


def test_the_link_of_someone_without_access_is_not_found(admin, ops, stranger):
    link = address(ops)
    deactivate(membership=ops)

    assert stranger.post(link).status_code == 404
