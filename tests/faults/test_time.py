"""Ages, clocks that disagree, and a clock that jumps: F60, F61."""

import ast
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db.models import F
from django.db.models.functions import Now

from capi.delivery import lane, sweep
from capi.linkedin.sandbox.faults import Fault
from capi.models import Connection, ConversionEvent, ConversionRule
from crm.models import CrmEvent
from tests.capi.conftest import received, requests_made, send_all
from tests.conftest import make_lead
from tests.faults.invariants import Allowed, broken
from tests.faults.world import make_leads

pytestmark = [
    pytest.mark.faults,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("small"),
]

TOO_NEW = (
    '{{"message":"Conversion time should be within 90 days and not exceed current time, indices {} (0-indexed).",'
    '"status":400}}'
)


def date(event: ConversionEvent, **ago: float) -> None:
    ConversionEvent.objects.filter(pk=event.pk).update(
        happened_at=Now() - timedelta(**ago)
    )


def books(sandbox):
    return sandbox.ledger.tail(10_000)[::-1]


@pytest.mark.covers("F60")
def test_events_within_90_days_are_sent_and_older_ones_expire_and_spoil_no_batch(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_leads(company, 6)
    events = list(ConversionEvent.objects.order_by("pk"))
    date(events[0], days=89, hours=23)
    date(events[1], days=90)
    date(events[2], days=91)
    date(events[3], minutes=-1)

    send_all(company)

    states = list(
        ConversionEvent.objects.order_by("pk").values_list("state", flat=True)
    )
    assert states == [
        "accepted",
        "expired",
        "expired",
        "pending",
        "accepted",
        "accepted",
    ]
    assert requests_made(sandbox) == [200]
    date(events[3], minutes=0)
    send_all(company)
    assert broken(books(sandbox)) == []


@pytest.mark.covers("F60")
def test_an_event_that_passes_90_days_while_it_is_on_hold_expires(
    company, connected, sandbox, make_rule
) -> None:
    rule = make_rule()
    make_lead(company)
    ConversionRule.objects.filter(pk=rule.pk).update(is_paused=True)
    date(ConversionEvent.objects.get(), days=91)

    sweep.tidy()

    assert ConversionEvent.objects.get().state == "expired"
    assert requests_made(sandbox) == []
    assert broken(books(sandbox)) == []


@pytest.mark.parametrize("count", [1, 2, 50])
@pytest.mark.covers("F61")
def test_fresh_events_that_linkedin_finds_too_new_are_sent_a_little_later(
    count, company, connected, sandbox, make_rule
) -> None:
    rule = make_rule()
    sandbox.faults.add(Fault(status=400, body=TOO_NEW.format(list(range(count)))))
    make_leads(company, count)

    send_all(company)

    rule.refresh_from_db()
    assert not rule.is_paused
    assert set(ConversionEvent.objects.values_list("state", "attempts")) == {
        ("pending", 1)
    }
    ConversionEvent.objects.update(next_attempt_at=Now())
    send_all(company)
    assert set(ConversionEvent.objects.values_list("state", "attempts")) == {
        ("accepted", 2)
    }
    assert broken(books(sandbox)) == []


@pytest.mark.covers("F61")
def test_only_the_fresh_ones_of_those_that_are_named_wait(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_leads(company, 4)
    date(ConversionEvent.objects.order_by("pk")[1], hours=3)
    sandbox.faults.add(Fault(status=400, body=TOO_NEW.format([1, 2])))

    send_all(company)

    states = list(
        ConversionEvent.objects.order_by("pk").values_list("state", flat=True)
    )
    assert states == ["accepted", "rejected", "pending", "accepted"]


@pytest.mark.covers("F61")
def test_a_clock_that_jumps_ahead_by_10_minutes_ends_a_lease_and_makes_what_waits_due(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_lead(company)
    lease = lane.take_lease(company.pk)
    ConversionEvent.objects.update(next_attempt_at=Now() + timedelta(minutes=9))
    Connection.objects.update(next_attempt_at=Now() + timedelta(minutes=9))
    jump = timedelta(minutes=10)

    Connection.objects.update(
        leased_until=F("leased_until") - jump,
        next_attempt_at=F("next_attempt_at") - jump,
    )
    ConversionEvent.objects.update(
        next_attempt_at=F("next_attempt_at") - jump, happened_at=F("happened_at") - jump
    )
    CrmEvent.objects.update(occurred_at=F("occurred_at") - jump)

    send_all(company)

    with pytest.raises(lane.LeaseLost):
        lane.renew(lease)
    assert len(received(sandbox)) == 1
    assert broken(books(sandbox)) == []


@pytest.mark.representative
@pytest.mark.covers("F61")
def test_an_event_dated_ahead_waits_for_its_time(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_lead(company)
    date(ConversionEvent.objects.get(), minutes=-10)

    send_all(company)

    assert requests_made(sandbox) == []
    assert broken(books(sandbox), Allowed(open_events=True)) == []


# These return the time of this machine, not the database's; the last two only if no moment is passed to them.
OWN_CLOCKS = {"now", "utcnow", "today"}
OWN_CLOCKS_UNLESS_GIVEN = {"localtime", "localdate"}


@pytest.mark.covers("F61")
def test_the_pipeline_never_asks_a_clock_but_the_databases() -> None:
    folder = Path(django_settings.BASE_DIR) / "capi" / "delivery"

    found = [
        f"{path.name}:{call.lineno}"
        for path in sorted(folder.glob("*.py"))
        for call in ast.walk(ast.parse(path.read_text()))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and asks_a_clock(call, call.func.attr)
    ]
    wall_clock = [
        path.name for path in folder.glob("*.py") if "time.time(" in path.read_text()
    ]

    assert (found, wall_clock) == ([], [])


def asks_a_clock(call: ast.Call, name: str) -> bool:
    return name in OWN_CLOCKS or (name in OWN_CLOCKS_UNLESS_GIVEN and not call.args)
