"""F56: the operator deactivates a company: no one gets in, nothing is sent, nothing is stuck."""

import threading

import pytest
from django.db import connection as database
from django.test import Client

from capi.delivery import deliver as pipeline
from capi.delivery import selection, sweep
from capi.models import Connection, ConversionEvent
from crm.models import ApiKey, AuditEntry, Company, Lead, Membership
from crm.services.companies import deactivate_company, reactivate_company
from tests.capi.conftest import requests_made, send_all, states
from tests.conftest import make_lead
from tests.faults.processes import wait_for
from tests.privacy.test_opt_out import once

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.covers("F56")
def test_what_waits_is_cancelled_and_nothing_is_sent_any_more(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_lead(company)
    make_lead(company, email="")

    deactivate_company(company=company)
    make_lead(company, first_name="Late")
    send_all(company)
    sweep.tidy()

    assert requests_made(sandbox) == []
    assert set(ConversionEvent.objects.values_list("state", "reason")) == {
        ("cancelled", "company_closed")
    }
    assert ConversionEvent.objects.count() == 3
    assert sweep.due_companies() == []


@pytest.mark.covers("F56")
def test_a_batch_that_was_read_before_is_not_sent(
    company, connected, sandbox, make_rule, monkeypatch
) -> None:
    make_rule()
    make_lead(company)
    once(
        monkeypatch,
        selection,
        "next_batch",
        lambda: deactivate_company(company=company),
    )

    send_all(company)

    assert requests_made(sandbox) == []
    assert states(company) == ["cancelled"]


@pytest.mark.covers("F56")
def test_it_waits_for_the_request_that_is_under_way(
    company, connected, sandbox, make_rule
) -> None:
    sandbox.faults.script(b'[{"delay_ms": 2000}]')
    make_rule()
    make_lead(company)

    def send():
        pipeline.deliver(company.pk)
        database.close()

    worker = threading.Thread(target=send)
    worker.start()
    wait_for(
        Connection.objects.filter(request_started_at__isnull=False).exists,
        seconds=30,
        told="A request is under way.",
    )
    deactivate_company(company=company)

    # Its response is on record when the call returns.
    assert states(company) == ["accepted"]
    worker.join()
    assert requests_made(sandbox) == [201]


def test_its_people_see_a_plain_page_and_its_keys_are_refused(
    company, admin, client_as
) -> None:
    _, text = ApiKey.objects.issue(company=company, role="admin", name="Script")
    client = client_as(admin)
    assert client.get("/leads/").status_code == 200

    deactivate_company(company=company)

    page = client.get("/leads/")
    api = client.get("/api/v1/leads/")
    key = Client(headers={"authorization": f"Bearer {text}"}).get("/api/v1/leads/")
    new = client.post("/leads/new/", {"first_name": "Ada"})
    assert (page.status_code, api.status_code, key.status_code, new.status_code) == (
        403,
        403,
        401,
        403,
    )
    assert "Northwind BV is deactivated" in page.content.decode()
    assert not Lead.objects.exists()


def test_who_belongs_to_another_company_works_on_there(
    company, other_company, sales, client_as
) -> None:
    Membership.objects.create(company=other_company, user=sales.user, role="sales")
    client = client_as(sales)

    deactivate_company(company=company)

    assert client.get("/leads/").context["membership"].company == other_company


def test_it_can_be_activated_again_and_what_happens_then_is_sent(
    company, admin, client_as, connected, sandbox, make_rule
) -> None:
    make_rule()
    deactivate_company(company=company)

    reactivate_company(company=company)
    make_lead(company)
    send_all(company)

    assert states(company) == ["accepted"]
    assert client_as(admin).get("/leads/").status_code == 200
    switched = AuditEntry.objects.filter(action="company_changed").order_by("pk")
    assert [entry.details["active"] for entry in switched] == [False, True]


def test_activating_it_does_not_end_another_pause(company, connected) -> None:
    Connection.objects.update(is_paused=True, paused_reason="token_refused")

    reactivate_company(company=company)

    assert Connection.objects.get().paused_reason == "token_refused"
    assert Company.objects.get().is_active
