"""While a full batch is on the wire, the next one is read. That doesn't change what is sent."""

import pytest
from django.db import OperationalError

from capi.delivery import scheduling, selection
from capi.linkedin.sandbox.faults import Fault
from capi.models import ConversionEvent
from crm.models import Lead
from tests.capi.conftest import received, requests_made, send_all, states
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def small_batches(settings) -> None:
    settings.BATCH_SIZE = 2


@pytest.fixture
def leads(company, connected, make_rule) -> list[Lead]:
    make_rule()
    return [
        make_lead(company, email=f"lead{number}@example.com") for number in range(5)
    ]


@pytest.fixture
def reads(monkeypatch) -> list[int]:
    """How many events were on the wire each time a batch was read."""
    found: list[int] = []
    read = selection.next_batch

    def noted(company_id, *, size, now, behind=(), since=None):
        if since is not None:
            return None  # whose turn it is, is another matter
        found.append(len(behind))
        return read(company_id, size=size, now=now, behind=behind)

    monkeypatch.setattr(selection, "next_batch", noted)
    return found


def test_each_event_goes_out_once_and_in_order(company, leads, sandbox, reads) -> None:
    send_all(company)

    events = ConversionEvent.objects.order_by("pk")
    assert [element["eventId"] for element in received(sandbox)] == [
        event.event_id for event in events
    ]
    assert (states(company), requests_made(sandbox)) == (
        ["accepted"] * 5,
        [200, 200, 201],
    )
    # The two in the middle were read while others were on the wire.
    assert reads == [0, 2, 2, 0]


def test_who_opts_out_while_the_batch_before_is_on_the_wire_is_not_sent(
    company, leads, sandbox, monkeypatch
) -> None:
    read = scheduling.BatchQueue.read_ahead

    def opt_out_after(self, *args, **kwargs):
        read(self, *args, **kwargs)
        leads[2].share_with_ad_platforms = False
        leads[2].save()

    monkeypatch.setattr(scheduling.BatchQueue, "read_ahead", opt_out_after)
    send_all(company)

    assert states(company) == [
        "accepted",
        "accepted",
        "skipped",
        "accepted",
        "accepted",
    ]
    assert len(received(sandbox)) == 4


def test_an_answer_that_is_no_plain_yes_has_the_rest_read_anew(
    company, leads, sandbox, reads
) -> None:
    sandbox.faults.add(Fault(status=503))

    turn = send_all(company)

    # The lane rests, and what was read ahead is not sent.
    assert (turn.requests, reads) == (1, [0, 2])
    assert states(company) == ["pending"] * 5


def test_what_waited_behind_a_slow_answer_is_read_again(
    company, leads, sandbox, reads, monkeypatch
) -> None:
    monkeypatch.setattr(scheduling, "FRESH_SECONDS", 0.0)

    send_all(company)

    assert reads == [0, 2, 0, 2, 0, 0]
    assert (states(company), len(received(sandbox))) == (["accepted"] * 5, 5)


def test_an_answer_is_written_also_where_the_database_fails_meanwhile(
    company, leads, sandbox, monkeypatch
) -> None:
    read = selection.next_batch

    def fail_ahead(company_id, *, size, now, behind=(), since=None):
        if behind:
            raise OperationalError("gone")
        return read(company_id, size=size, now=now)

    monkeypatch.setattr(selection, "next_batch", fail_ahead)
    send_all(company)

    assert (states(company), requests_made(sandbox)) == (
        ["accepted"] * 5,
        [200, 200, 201],
    )
