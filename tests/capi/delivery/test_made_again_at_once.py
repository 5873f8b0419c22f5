"""A change that was undone is made again just as the worker writes that its request had no clear answer."""

import threading
from collections.abc import Sequence

import pytest
from django.db import connection as database
from django.db import transaction

from capi.delivery import duplicates
from capi.linkedin.sandbox.faults import Fault
from crm.services.undo import undo
from tests.capi.conftest import send_all, states
from tests.capi.delivery.test_duplicates import (
    NO_ANSWER,
    during_the_request,
    event_ids,
    pick,
    send_all_in_the_end,
)
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("is_looked_for_before", [True, False])
@pytest.mark.parametrize("fault", [NO_ANSWER, Fault(status=503)])
def test_it_is_sent_although_neither_sees_the_other(
    company, connected, make_rule, sandbox, monkeypatch, fault, is_looked_for_before
) -> None:
    make_rule("lead_qualified", frequency="once")
    lead = make_lead(company)
    action = pick(lead, "qualified")
    planned, written = threading.Event(), threading.Event()
    take_over = duplicates.take_over

    def let_it_end() -> None:
        planned.set()
        written.wait(10)

    def let_it_end_and_take_over(crm_event_ids: Sequence[int]) -> list[int]:
        if not written.is_set() and not is_looked_for_before:
            let_it_end()
        return take_over(crm_event_ids)

    monkeypatch.setattr(duplicates, "take_over", let_it_end_and_take_over)

    def make_again() -> None:
        with transaction.atomic():
            pick(lead, "qualified")
            if is_looked_for_before:
                let_it_end()
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
