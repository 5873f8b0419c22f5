"""Signing in as a browser does, from an address on the net, and reading the links in mails."""

import re
import time

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core import mail
from django.test import Client

from crm.accounts import mails
from tests.conftest import PASSWORD


@pytest.fixture(autouse=True)
def _site(settings):
    settings.SITE_URL = "https://crm.example.com"
    settings.SIGNUP = True


def sign_in(
    client,
    email="sales@example.com",
    password=PASSWORD,
    address="198.51.100.7",
    **headers,
):
    """Post the sign-in form from this address on the net."""
    return client.post(
        "/login/",
        {"username": email, "password": password},
        REMOTE_ADDR=address,
        headers=headers,
    )


def is_in(client):
    return client.get("/leads/").status_code == 200


@pytest.fixture(autouse=True)
def _posted(monkeypatch):
    """A worker sends what each response has left in the outbox."""
    answer = Client.request

    def request(self, **environment):
        response = answer(self, **environment)
        mails.send_due()
        return response

    monkeypatch.setattr(Client, "request", request)


def link(message=None):
    """The path of the first link in the newest mail."""
    mails.send_due()
    body = (message or mail.outbox[-1]).body
    return re.search(r"https://crm\.example\.com(/\S+)", body).group(1)


def set_up_app(user):
    """Give the user an authenticator app, and return its key."""
    secret = generate_totp_secret()
    TOTP.activate(user, secret)
    return secret


def confirm_password(client):
    client.post("/account/confirm/", {"password": PASSWORD})


class Clock:
    """The machine's clock, put forward."""

    ahead = 0

    def goes_on(self, *, seconds):
        self.ahead += seconds


@pytest.fixture
def clock(monkeypatch):
    clock, real = Clock(), time.time
    monkeypatch.setattr(time, "time", lambda: real() + clock.ahead)
    return clock


@pytest.fixture
def strict_client():
    return Client(enforce_csrf_checks=True)
