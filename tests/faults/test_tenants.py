"""Neighbours, tokens and rules that change on the way, people who act at once: F47 to F52, F54, F57."""

import os
import signal
from collections import Counter
from datetime import timedelta

import pytest
from django.db.models.functions import Now

from capi import services
from capi.linkedin.sandbox.faults import Drop, Fault
from capi.models import Connection, ConversionEvent, ConversionRule
from capi.models.token import fingerprint as token_fingerprint
from crm.models import AuditEntry, CrmEvent, Lead, LeadStatus
from tests.capi.conftest import requests_made, send_all, states
from tests.conftest import TOKEN, make_lead
from tests.faults import figures
from tests.faults.invariants import Allowed, broken, fingerprint
from tests.faults.processes import wait_for
from tests.faults.threads import in_threads
from tests.faults.world import make_leads

pytestmark = [
    pytest.mark.faults,
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("small"),
]

SECOND_TOKEN = "AQV-the-second-token-of-northwind-0001"
OTHERS_TOKEN = "AQV-the-token-of-contoso-0001"


def books(sandbox):
    return sandbox.ledger.tail(10_000)[::-1]


# --- F47 to F49: a neighbour -----------------------------------------------------------------------------------------


BATCH = 100
NEIGHBOURS = {
    "backlog": (2_000, {"delay_ms": 250, "times": 21}),
    "slow": (500, {"delay_ms": 1_000, "times": 6}),
    "throttled": (500, {"status": 429, "headers": {"Retry-After": "6"}}),
}


@pytest.mark.parametrize("trouble", NEIGHBOURS)
@pytest.mark.covers("F47", "F48", "F49")
def test_a_neighbour_with_a_backlog_or_in_trouble_holds_nobody_up(
    trouble, world
) -> None:
    northwind, contoso = world.connect(), world.connect("contoso", token=OTHERS_TOKEN)
    held = ConversionRule.objects.create(
        company=northwind,
        crm_event="lead_created",
        linkedin_id="104999",
        name="Held",
        is_paused=True,
    )
    leads, answers = NEIGHBOURS[trouble]
    world.ledger.script(answers)
    make_leads(northwind, leads)
    world.start_worker(LEADMACHINE_BATCH_SIZE=str(BATCH))
    world.wait_for_worker()
    wait_for(world.ledger.entries, seconds=15, told="the neighbour's first request")
    make_leads(contoso, 10, start=20_000)

    events = ConversionEvent.objects.filter(company=contoso).exclude(state="accepted")
    wait_for(lambda: not events.exists(), seconds=4, told="the others are delivered")

    # The neighbour is far from done: anyone who had to wait for it would still be waiting.
    left = (
        ConversionEvent.objects.pending()
        .filter(company=northwind)
        .exclude(rule=held)
        .count()
    )
    assert left >= 2 * BATCH
    services.resume_rule(rule=held)
    world.wait_for_the_end(seconds=20)
    requests = [
        len(entry.elements)
        for entry in world.ledger.entries()
        if entry.token == fingerprint(OTHERS_TOKEN)
    ]
    assert requests == [10]
    assert world.broken() == []


# --- F50 to F52: tokens ----------------------------------------------------------------------------------------------


@pytest.mark.covers("F50")
def test_20000_events_wait_a_week_for_a_new_token_and_all_go_out_oldest_first(
    company, sandbox, make_rule
) -> None:
    services.save_token(company=company, token="AQV-this-one-is-revoked-0001")
    make_rule()
    make_leads(company, 20_000)
    send_all(company)
    send_all(company)
    assert requests_made(sandbox) == [401]
    week = timedelta(days=7)
    ConversionEvent.objects.update(
        happened_at=Now() - week, next_attempt_at=Now() - week
    )

    services.save_token(company=company, token=TOKEN)
    send_all(company)

    assert requests_made(sandbox) == [401, 200, 200, 200, 200]
    order = [
        element["eventId"] for entry in books(sandbox)[1:] for element in entry.elements
    ]
    assert order == list(
        ConversionEvent.objects.order_by("pk").values_list("event_id", flat=True)
    )
    assert set(ConversionEvent.objects.values_list("state", "attempts")) == {
        ("accepted", 1)
    }
    tokens = {company.pk: {fingerprint("AQV-this-one-is-revoked-0001")}}
    # The week that went by is in the time of each event.
    allowed = Allowed(tokens=tokens, edits=True)
    assert broken(books(sandbox), allowed) == []


@pytest.mark.sized
@pytest.mark.representative
@pytest.mark.covers("F51")
def test_a_401_for_the_old_token_that_comes_after_the_new_one_pauses_nothing(
    world,
) -> None:
    company = world.connect(token="AQV-this-one-is-revoked-0001")
    for number in range(figures.rounds(5, long=50)):
        services.save_token(company=company, token="AQV-this-one-is-revoked-0001")
        make_leads(company, 20, start=20 * number)
        world.arm("answer_read", "SIGSTOP")
        pid = world.deliveries.start(company.pk)
        world.deliveries.wait_until_stopped(pid)

        services.save_token(company=company, token=TOKEN)
        continue_process(pid)
        assert world.deliveries.wait(pid) == 0

        assert not Connection.objects.get(company=company).is_paused
        world.deliveries.run(company.pk)
        assert set(ConversionEvent.objects.values_list("state", "attempts")) == {
            ("accepted", 1)
        }
    tokens = {company.pk: {fingerprint("AQV-this-one-is-revoked-0001")}}
    assert world.broken(Allowed(tokens=tokens)) == []


def continue_process(pid: int) -> None:
    os.kill(pid, signal.SIGCONT)


@pytest.mark.covers("F52")
def test_two_admins_who_save_two_tokens_at_once_50_times_end_with_one_of_them(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    before = Connection.objects.get().token_version
    tokens = [TOKEN, SECOND_TOKEN]

    in_threads(
        2,
        lambda number: [
            services.save_token(company=company, token=tokens[number])
            for _ in range(50)
        ],
    )

    after = Connection.objects.get()
    assert after.token_version == before + 100
    assert AuditEntry.objects.filter(action="token_saved").count() == 100 + 1
    last = [
        token for token in tokens if token_fingerprint(token) == after.token_fingerprint
    ]
    make_leads(company, 10)
    send_all(company)
    [entry] = books(sandbox)
    assert [entry.token] == [fingerprint(token) for token in last]
    assert broken(books(sandbox)) == []


# --- F54: rules ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", ["delete", "switch off", "edit"])
@pytest.mark.parametrize("when", ["waiting", "in flight"])
@pytest.mark.covers("F54")
def test_a_rule_that_changes_under_5000_events(change, when, world) -> None:
    company = world.connect()
    rule = ConversionRule.objects.get(company=company)
    make_leads(company, 5000)
    pid = None
    if when == "in flight":
        world.arm("answer_read", "SIGSTOP")
        pid = world.deliveries.start(company.pk)
        world.deliveries.wait_until_stopped(pid)

    if change == "delete":
        services.delete_rule(rule=rule)
    elif change == "switch off":
        services.set_rule_active(rule=rule, active=False)
    else:
        rule.linkedin_id = "104777"
        services.save_rule(rule=rule)
    if pid is not None:
        continue_process(pid)
        world.deliveries.wait(pid)
    world.deliveries.run(company.pk)

    sent = when == "in flight" or change == "edit"
    assert Counter(states(company)) == {"accepted" if sent else "cancelled": 5000}
    wanted = "104777" if (change, when) == ("edit", "waiting") else "104012"
    assert {
        element["conversion"]
        for entry in world.ledger.entries()
        for element in entry.elements
    } == ({f"urn:lla:llaPartnerConversion:{wanted}"} if sent else set())
    assert world.broken(Allowed(rule_changes=True)) == []


# --- F57: people -----------------------------------------------------------------------------------------------------


@pytest.mark.covers("F57")
def test_a_status_flipped_1000_times_from_20_threads_leaves_as_many_events_as_changes(
    company, connected, sandbox, make_rule
) -> None:
    once = make_rule("lead_qualified", "1")
    every = make_rule("lead_qualified", "2", frequency="every_time")
    lead = make_lead(company)
    new = LeadStatus.objects.filter(company=company, meaning="new").first()
    qualified = LeadStatus.objects.filter(company=company, meaning="qualified").first()
    changed = []

    def flip(number: int) -> None:
        for turn in range(50):
            target, other = (
                (qualified, new) if (number + turn) % 2 else (new, qualified)
            )
            # Only one of the 20 makes each change: the database decides which.
            if Lead.objects.filter(pk=lead.pk, status=other).update(status=target):
                changed.append(target)

    in_threads(20, flip)

    events = CrmEvent.objects.filter(kind="lead_qualified").count()
    assert events == changed.count(qualified) > 10
    # Each change is to the other status, so the final status shows which change was the last.
    assert changed.count(qualified) - changed.count(new) == (
        Lead.objects.get().status == qualified
    )
    send_all(company)
    assert ConversionEvent.objects.filter(rule=once, state="accepted").count() == 1
    assert (
        ConversionEvent.objects.filter(rule=once, state="skipped").count() == events - 1
    )
    assert (
        ConversionEvent.objects.filter(rule=every, state="accepted").count() == events
    )
    assert broken(books(sandbox)) == []


def test_faults_of_several_kinds_in_one_delivery_keep_two_companies_apart(
    company, other_company, connected, sandbox, make_rule
) -> None:
    services.save_token(company=other_company, token=OTHERS_TOKEN)
    make_rule()
    make_rule(company=other_company)
    sandbox.faults.add(
        Fault(drop=Drop.AFTER_BODY),
        Fault(status=500),
        Fault(cut_after=30),
        Fault(status=429),
    )
    for number in range(6):
        make_leads(company, 20, start=20 * number)
        make_leads(other_company, 20, start=1000 + 20 * number)
        send_all(company)
        send_all(other_company)
        ConversionEvent.objects.pending().update(next_attempt_at=Now())
        Connection.objects.update(next_attempt_at=None)
    send_all(company)
    send_all(other_company)

    assert set(states(company) + states(other_company)) == {"accepted"}
    assert broken(books(sandbox), Allowed(hidden_answers=2)) == []
