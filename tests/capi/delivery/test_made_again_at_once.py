"""What was undone is made again in the very moment in which the worker writes that its request has no clear answer."""

import threading

import pytest
from django.db import connection as database
from django.db import transaction

from capi.linkedin.sandbox.faults import Fault
from crm.services.undo import undo
from tests.capi.conftest import send_all, states
from tests.capi.delivery.test_places import NO_ANSWER, during_the_request, event_ids, pick, send_all_in_the_end
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("fault", [NO_ANSWER, Fault(status=503)])
def test_it_is_sent_although_neither_sees_the_other(company, connected, make_rule, sandbox, monkeypatch, fault) -> None:
    make_rule("lead_qualified", frequency="once")
    lead = make_lead(company)
    action = pick(lead, "qualified")
    planned, written = threading.Event(), threading.Event()

    def make_again() -> None:
        with transaction.atomic():
            pick(lead, "qualified")
            planned.set()
            written.wait(10)
        database.close()

    making = threading.Thread(target=make_again)

    def meanwhile() -> None:
        undo(company=company, action=action)
        making.start()
        planned.wait(10)

    during_the_request(monkeypatch, meanwhile)
    sandbox.faults.add(fault)
    send_all(company)
    written.set()
    making.join()
    send_all_in_the_end(company)

    assert states(company) == ["cancelled", "accepted"]
    assert len(event_ids(sandbox)) == 1
