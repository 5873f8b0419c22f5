"""LinkedIn is away for three whole days (F35)."""

from datetime import timedelta

import pytest
from django.db.models import F, Max, Min
from django.db.models.functions import Now

from capi import services
from capi.delivery.deliver import deliver
from capi.linkedin.sandbox.faults import Fault
from capi.models import Connection, ConversionEvent
from tests.capi.conftest import send_all, states
from tests.faults.invariants import broken
from tests.faults.world import make_leads

pytestmark = [pytest.mark.faults, pytest.mark.django_db(transaction=True)]

THREE_DAYS = timedelta(days=3)
PER_MINUTE = 120


def sleep_until_it_is_due(company) -> timedelta:
    """Move the time to the next attempt of the company's lane. Returns how long that was."""
    lane = Connection.objects.annotate(now=Now()).get(company=company)
    row = (
        ConversionEvent.objects.for_company(company)
        .pending()
        .aggregate(last=Max("next_attempt_at"))["last"]
    )
    wait = max(
        timedelta(0),
        *(moment - lane.now for moment in (lane.next_attempt_at, row) if moment),
    )
    wait += timedelta(seconds=1)
    ConversionEvent.objects.pending().update(
        next_attempt_at=F("next_attempt_at") - wait
    )
    for name in ("next_attempt_at", "requests_counted_at"):
        Connection.objects.update(**{name: F(name) - wait})
    return wait


@pytest.mark.representative
@pytest.mark.covers("F35")
def test_after_3_days_without_linkedin_all_goes_out_in_order_at_the_rate_and_the_newest_company_has_its_turn(
    company, other_company, connected, sandbox, make_rule, settings
) -> None:
    settings.REQUESTS_PER_MINUTE = PER_MINUTE
    services.save_token(company=other_company, token="AQV-the-token-of-contoso-0001")
    make_rule()
    make_rule(company=other_company)
    make_leads(company, 1_500)
    sandbox.faults.add(Fault(status=503, times=1_000))
    gone = timedelta(0)
    while gone < THREE_DAYS:
        send_all(company)
        gone += sleep_until_it_is_due(company)
    requests = len(sandbox.ledger.tail(10_000))
    assert requests < 30  # every six hours in the end, and not every minute
    assert set(states(company)) == {"pending"}
    sandbox.faults.clear()
    settings.BATCH_SIZE = 20
    make_leads(other_company, 10, start=10_000)
    due = list(
        ConversionEvent.objects.for_company(company).order_by("next_attempt_at", "pk")
    )

    deliver(company.pk, seconds=0.5)
    send_all(other_company)

    assert (set(states(other_company)), "pending" in states(company)) == (
        {"accepted"},
        True,
    )
    send_all(company)
    entries = sandbox.ledger.tail(10_000)[::-1]
    sent = [
        element["eventId"]
        for entry in entries[requests:]
        if len(entry.elements) == 20
        for element in entry.elements
    ]
    assert sent == [event.event_id for event in due]
    began, ended = (
        ConversionEvent.objects.filter(company=company).aggregate(
            at=each("settled_at")
        )["at"]
        for each in (Min, Max)
    )
    # 75 requests: 61 at once, down to half a minute's worth, and 14 at the pace that LinkedIn grants. One less here,
    # because an event is settled a moment after its request, and the first one's moment may be the longest.
    at_the_pace = 75 - (PER_MINUTE / 2 + 1) - 1
    assert (ended - began).total_seconds() >= at_the_pace * 60 / PER_MINUTE
    assert set(states(company)) == {"accepted"}
    assert broken(entries) == []
