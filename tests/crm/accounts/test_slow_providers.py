"""S51: a provider that takes for ever costs its own company's people their time, and no one else."""

import threading
import time

import pytest
from django.db import connections
from django.test import Client

from crm.services import outbound
from tests import slow_servers
from tests.crm.accounts.test_company_sign_in import (
    arrive,
    begin,
    come_in,
    is_in,
    provider_of,
    server,
)
from tests.crm.services.test_outbound import tls

__all__ = ["server", "tls"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.covers("S51")]

TOO_MANY = "Too many people are waiting for this provider. Try again in a few seconds."


def slow(company, server, wire):
    """The company's provider, at a server that drips."""
    provider = provider_of(company, server)
    provider.issuer = wire.url
    provider.save()
    return provider


def press_in_threads(provider, count):
    """Press the button so many times at once. Returns the threads, and what each page said after how many seconds."""
    pages = []

    def press():
        started_at = time.monotonic()
        page = (
            Client()
            .post(f"/login/company/{provider.code}/", follow=True)
            .content.decode()
        )
        pages.append((time.monotonic() - started_at, page))
        connections.close_all()

    threads = [threading.Thread(target=press) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads, pages


@pytest.mark.parametrize("framing", ["HTTP/1.0", "said to close", "length"])
def test_four_sign_ins_at_a_slow_provider_hold_up_nobody_of_another_company(
    company, other_company, sales, server, tls, monkeypatch, framing
):
    monkeypatch.setattr(outbound, "EXCHANGE_SECONDS", 3.0)
    ours = provider_of(company, server)
    Client().get("/login/")  # imports what a first request does

    with slow_servers.dripping(slow_servers.FRAMINGS[framing], tls=tls) as wire:
        theirs = slow(other_company, server, wire)
        threads, pages = press_in_threads(theirs, 4)
        while wire.accepted < outbound.MOST_OF_A_COMPANY:
            time.sleep(0.01)
        started_at = time.monotonic()
        client = Client()
        come_in(client, ours, server)
        seconds = time.monotonic() - started_at
        were_waiting = sum(thread.is_alive() for thread in threads)
        for thread in threads:
            thread.join()

    assert is_in(client)
    assert were_waiting == outbound.MOST_OF_A_COMPANY
    assert seconds < 2
    [(first, refused), *others] = sorted(pages)
    assert TOO_MANY in refused
    assert first < 1
    assert all(
        "can&#x27;t be reached at the moment" in page and took < 5
        for took, page in others
    )


def test_someone_who_comes_back_from_a_busy_provider_loses_nothing(
    company, sales, server
):
    provider = provider_of(company, server)
    client = Client()
    address = server.authorize(begin(client, provider))
    clients = [
        outbound.OutboundClient(company_id=company.pk)
        for _ in range(outbound.MOST_OF_A_COMPANY)
    ]

    for each in clients:
        each.__enter__()
    busy = arrive(client, address)
    for each in clients:
        each.__exit__()
    arrive(client, address)

    assert (busy.status_code, busy.headers["Retry-After"]) == (503, "5")
    assert TOO_MANY in busy.content.decode()
    assert is_in(client)
