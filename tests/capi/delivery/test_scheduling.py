"""After a pause the oldest events go first, but new ones don't wait for all of them."""

import random
import re
from datetime import timedelta
from itertools import count
from typing import Final

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from capi import services
from capi.delivery.deliver import deliver
from capi.delivery.scheduling import NEW_EVERY
from capi.linkedin import payload
from capi.models import ConversionEvent
from capi.models.choices import Reason
from tests.capi.conftest import send_all
from tests.conftest import make_lead
from tests.size import sized

pytestmark = pytest.mark.django_db

BACKLOG = sized(20_000, small=4_000)
BATCH = BACKLOG // 20


def pile_up(rule, lead) -> None:
    """Add BACKLOG events of the last ten days, on hold because the rule is paused."""
    began = timezone.now() - timedelta(days=10)
    moments = [began + timedelta(seconds=20 * number) for number in range(BACKLOG)]
    events = [
        ConversionEvent(
            company=rule.company,
            rule=rule,
            lead=lead,
            event_id=f"old-{number:06}",
            happened_at=moment,
            next_attempt_at=moment,
        )
        for number, moment in enumerate(moments)
    ]
    ConversionEvent.objects.bulk_create(events, batch_size=2_000)


def requests(sandbox) -> list[list[str]]:
    """The event ids of each request, oldest first."""
    return [
        [item["eventId"] for item in entry.elements]
        for entry in reversed(sandbox.ledger.tail(10_000))
    ]


@pytest.mark.sized
def test_a_backlog_goes_out_in_its_order_and_new_events_wait_for_few_batches(
    company, connected, sandbox, make_rule, settings, monkeypatch
) -> None:
    settings.BATCH_SIZE = BATCH
    lead = make_lead(company)
    held = make_rule(
        "lead_qualified",
        "1",
        is_paused=True,
        paused_reason=Reason.RULE_NOT_FOUND,
        frequency="every_time",
    )
    live = make_rule("lead_created", "2", frequency="every_time")
    pile_up(held, lead)
    planned_at: dict[str, int] = {}
    encode, numbers = payload.encode, count()

    def while_others_go_out(conversions):
        number = next(numbers)
        if number < 15:
            for rule in (held, live):
                event_id = f"new-{rule.pk}-{number}"
                ConversionEvent.objects.create(
                    company=company, rule=rule, lead=lead, event_id=event_id
                )
                planned_at[event_id] = number
        return encode(conversions)

    monkeypatch.setattr(payload, "encode", while_others_go_out)
    services.resume_rule(rule=held)
    send_all(company)

    made = requests(sandbox)
    sent_at = {event_id: number for number, ids in enumerate(made) for event_id in ids}
    in_order = [event_id for ids in made for event_id in ids]
    old = [event_id for event_id in in_order if event_id.startswith("old-")]
    assert old == [f"old-{number:06}" for number in range(BACKLOG)]
    assert len(in_order) == len(set(in_order)) == BACKLOG + 30
    waits = [sent_at[event_id] - number for event_id, number in planned_at.items()]
    # Two rules have new events, and a batch may have been read ahead.
    assert max(waits) <= 2 * NEW_EVERY + 1
    assert max(sent_at.values()) > 20


def test_new_events_are_sent_in_order_too(
    company, connected, sandbox, make_rule, settings
) -> None:
    settings.BATCH_SIZE = 2
    make_rule("lead_created", "2")
    for _ in range(9):
        make_lead(company)

    send_all(company)

    planned = list(
        ConversionEvent.objects.order_by("pk").values_list("event_id", flat=True)
    )
    assert [event_id for ids in requests(sandbox) for event_id in ids] == planned


def reads_of_the_lane(queries) -> int:
    return sum("has_backfill" in query["sql"] for query in queries)


def test_a_turn_of_one_small_batch_reads_the_lane_once(
    company, connected, sandbox, make_rule, monkeypatch
) -> None:
    monkeypatch.setattr(random, "randrange", lambda end: 0)
    make_rule("lead_created")
    for number in range(3):
        make_lead(company, email=f"{number}@example.com")

    with CaptureQueriesContext(connection) as queries:
        assert deliver(company.pk).states == {"accepted": 3}

    assert [len(events) for events in requests(sandbox)] == [3]
    assert reads_of_the_lane(queries) == 1


def test_what_is_planned_while_a_small_batch_is_on_the_wire_goes_out_in_the_same_turn(
    company, connected, sandbox, make_rule, monkeypatch
) -> None:
    monkeypatch.setattr(random, "randrange", lambda end: 0)
    make_rule("lead_created")
    make_lead(company)
    encode, numbers = payload.encode, count()

    def while_another_comes(conversions):
        if (number := next(numbers)) < 2:
            make_lead(company, email=f"{number}@example.com")
        return encode(conversions)

    monkeypatch.setattr(payload, "encode", while_another_comes)

    assert deliver(company.pk).states == {"accepted": 3}

    assert [len(events) for events in requests(sandbox)] == [1, 1, 1]


# What a turn with one event executes, in this order, and BEGIN and COMMIT.
TURN: Final = [
    "UPDATE capi_connection",  # take the lease
    "SELECT capi_connection",  # token, pause, rest and budget
    "SELECT capi_conversionrule",  # whose event has waited longest
    "BEGIN",
    "SET LOCAL",  # for the plan of the next one: see `selection.fetch`
    "SELECT capi_conversionevent",
    "COMMIT",
    "BEGIN",
    "UPDATE capi_connection",  # pay for the request
    "SELECT capi_recall",  # after the UPDATE that locks the row: see `recall`
    "COMMIT",
    "BEGIN",
    "UPDATE capi_connection",  # renew the lease
    "SELECT capi_recall",
    "INSERT capi_attempt",
    "UPDATE capi_conversionevent",
    "COMMIT",
    "UPDATE capi_connection",  # release the lease
    "SELECT capi_connection",  # was something due just before that?
]


@pytest.mark.django_db(transaction=True)
def test_a_turn_with_one_event_needs_no_more_statements_than_these(
    company, connected, sandbox, make_rule, monkeypatch
) -> None:
    monkeypatch.setattr(random, "randrange", lambda end: 0)
    make_rule("lead_created")
    make_lead(company)

    with CaptureQueriesContext(connection) as queries:
        assert deliver(company.pk).states == {"accepted": 1}

    assert [in_short(query["sql"]) for query in queries] == TURN


def in_short(sql: str) -> str:
    """The statement's verb, and the table that it names first."""
    table = re.search(r'"(capi_\w+)"', sql)
    verb = "SET LOCAL" if sql.startswith("SET LOCAL") else sql.split()[0]
    return f"{verb} {table[1]}" if table else verb
