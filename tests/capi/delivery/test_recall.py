"""Events that were read for sending but may no longer be sent: no request that begins later contains them."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from django.db.models.functions import Now

from capi import services
from capi.delivery import http_session, lane, recall
from capi.linkedin.identity import email_sha256
from capi.linkedin.sandbox.faults import Fault
from capi.models import Connection, ConversionEvent, ConversionRule
from capi.models.choices import Reason
from capi.selectors.explanations.explain import TAKEN_BACK_ON_THE_WAY, explain
from crm.models import Lead, LeadStatus
from crm.models.tracking.origin import acting_as
from crm.services.editing import change_status
from crm.services.undo import undo
from tests.capi.conftest import (
    hashes,
    received,
    requests_made,
    send_all,
    states,
    wait_is_over,
)
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db(transaction=True)

# Names no event, so the batch is halved.
REFUSED = Fault(status=400, body='{"message":"odd","status":400}')
ON_ITS_WAY = (
    "“Lead qualified”{} may be in a request to LinkedIn that had already begun. "
    "Recent Events shows the result."
)


@pytest.fixture(autouse=True)
def no_grace(company) -> None:
    type(company).objects.update(grace_seconds=0)
    company.refresh_from_db()


def add(company: Any, count: int) -> uuid.UUID:
    """Add leads in one action, which can be undone."""
    action = uuid.uuid4()
    with acting_as(None, action=action):
        for number in range(count):
            make_lead(company, email=f"lead{number}@example.com")
    return action


def qualify(company: Any, count: int) -> uuid.UUID:
    """Set as many leads to Qualified in one action."""
    leads = [
        make_lead(company, email=f"lead{number}@example.com").pk
        for number in range(count)
    ]
    action = uuid.uuid4()
    with acting_as(None, action=action):
        status = LeadStatus.objects.get(company=company, meaning="qualified")
        change_status(leads=Lead.objects.filter(pk__in=leads), status=status)
    return action


@pytest.fixture
def on_the_wire(monkeypatch) -> Callable[..., None]:
    """Run this while the first request is on the wire, after a further batch was read behind it."""

    def have(do: Callable[[], Any]) -> None:
        send = http_session.send

        def send_and_do(*, meanwhile: Callable[[], None] | None, **request: Any) -> Any:
            monkeypatch.setattr(http_session, "send", send)
            if meanwhile:
                meanwhile()
            do()
            return send(meanwhile=None, **request)

        monkeypatch.setattr(http_session, "send", send_and_do)

    return have


# --- what was undone ---


def test_what_is_undone_is_in_no_request_of_another_rule(
    company, connected, make_rule, sandbox, on_the_wire
) -> None:
    for linkedin_id in ("104011", "104012"):
        make_rule("lead_qualified", linkedin_id)
    action, told = qualify(company, 1), []
    on_the_wire(lambda: told.extend(undo(company=company, action=action).told))

    send_all(company)

    assert [element["conversion"][-6:] for element in received(sandbox)] == ["104011"]
    assert sorted(states(company)) == ["accepted", "cancelled"]
    assert told == [ON_ITS_WAY.format("")]  # LinkedIn has nothing of the other one


@pytest.mark.parametrize(
    ("answer", "ended"),
    [(None, ["accepted"] * 2 + ["cancelled"] * 3), (500, ["cancelled"] * 5)],
)
def test_what_is_undone_is_in_no_later_batch(
    company, connected, make_rule, sandbox, settings, on_the_wire, answer, ended
) -> None:
    settings.BATCH_SIZE = 2
    make_rule("lead_qualified")
    action = qualify(company, 5)
    on_the_wire(lambda: undo(company=company, action=action))
    if answer:
        sandbox.faults.add(Fault(status=answer))

    send_all(company)
    Connection.objects.update(next_attempt_at=None)
    send_all(company)

    assert (states(company), len(requests_made(sandbox))) == (ended, 1)


def test_what_is_undone_after_a_worker_was_killed_is_not_sent(
    company, connected, make_rule, sandbox, monkeypatch
) -> None:
    make_rule("lead_qualified")
    action = qualify(company, 1)
    with monkeypatch.context() as patched, pytest.raises(RuntimeError):
        patched.setattr(http_session, "send", Mock(side_effect=RuntimeError))
        patched.setattr(lane, "release", lambda lease: None)
        send_all(company)

    told = undo(company=company, action=action).told
    event = ConversionEvent.objects.get(reason=Reason.TAKEN_BACK)
    seen = explain(event, connected)
    Connection.objects.update(leased_until=Now() - timedelta(seconds=1))
    send_all(company)

    assert (told, seen) == ([ON_ITS_WAY.format("")], TAKEN_BACK_ON_THE_WAY)
    assert (states(company), len(received(sandbox))) == (["cancelled"], 0)


def test_what_waits_for_an_address_ends_with_its_undo(
    company, connected, make_rule, sandbox, on_the_wire
) -> None:
    """It is in no request, although another event is on the wire."""
    make_rule("lead_created")
    make_lead(company)
    action = uuid.uuid4()
    with acting_as(None, action=action):
        make_lead(company, email="")
    told: list[str] = []
    on_the_wire(lambda: told.extend(undo(company=company, action=action).told))

    send_all(company)

    assert (states(company), told) == (["accepted", "cancelled"], [])


def test_what_is_undone_before_it_is_sent_again_for_its_time_ends(
    company, connected, make_rule, sandbox, on_the_wire
) -> None:
    make_rule("lead_qualified")
    action = qualify(company, 1)
    early = '{"message":"Index: 0, ERROR :: /conversionHappenedAt :: is in the future","status":400}'
    sandbox.faults.add(Fault(status=400, body=early))
    on_the_wire(lambda: undo(company=company, action=action))

    send_all(company)

    assert states(company) == ["cancelled"]


def test_many_that_are_removed_are_named_in_one_sentence(
    company, connected, make_rule, sandbox
) -> None:
    make_rule("lead_created")
    action = add(company, 3)
    send_all(company)

    undone = undo(company=company, action=action)

    assert len(undone.removed) == 3
    assert undone.told == [
        "“Lead created” (3 conversions) had already been sent to LinkedIn."
    ]


# --- rules that are changed ---


def change(rule: ConversionRule, how: str) -> None:
    rule = ConversionRule.objects.get(pk=rule.pk)
    match how:
        case "off":
            services.set_rule_active(rule=rule, active=False)
        case "delete":
            services.delete_rule(rule=rule)
        case "id":
            rule.linkedin_id = "104099"
            services.save_rule(rule=rule)
        case "per_person":
            rule.frequency = "per_person"
            services.save_rule(rule=rule)


AFTERWARDS = {
    "off": ["accepted", "accepted", "cancelled", "cancelled"],
    "delete": ["accepted", "accepted", "cancelled", "cancelled"],
    "id": ["accepted"] * 4,
    "per_person": ["accepted", "accepted", "accepted", "skipped"],
}


@pytest.mark.parametrize("how", AFTERWARDS)
def test_a_batch_that_was_read_ahead_follows_the_rule(
    company, connected, make_rule, sandbox, settings, on_the_wire, how
) -> None:
    settings.BATCH_SIZE = 2
    rule = make_rule("lead_created", "104011", frequency="every_time")
    for _ in range(4):
        make_lead(company, email="ada@example.com")
    on_the_wire(lambda: change(rule, how))

    send_all(company)
    wait_is_over()
    send_all(company)

    assert states(company) == AFTERWARDS[how]
    sent_to = [element["conversion"][-6:] for element in received(sandbox)]
    assert sent_to == ["104011"] * 2 + ["104099" if how == "id" else "104011"] * (
        len(sent_to) - 2
    )


@pytest.mark.parametrize("how", AFTERWARDS)
def test_the_parts_of_a_refused_batch_follow_the_rule(
    company, connected, make_rule, sandbox, on_the_wire, how
) -> None:
    rule = make_rule("lead_created", "104011", frequency="every_time")
    for _ in range(4):
        make_lead(company, email="ada@example.com")
    sandbox.faults.add(REFUSED)
    on_the_wire(lambda: change(rule, how))

    send_all(company)
    wait_is_over()
    send_all(company)

    after = {
        "off": ["cancelled"] * 4,
        "delete": ["cancelled"] * 4,
        "per_person": ["accepted"] + ["skipped"] * 3,
    }
    assert states(company) == after.get(how, ["accepted"] * 4)
    [_, *later] = requests_made(sandbox)
    assert (later == []) == (how in ("off", "delete"))
    assert {element["conversion"][-6:] for element in received(sandbox)} <= {
        "104099" if how == "id" else "104011"
    }


# --- leads that are changed ---


@pytest.mark.parametrize("frequency", ["every_time", "per_person"])
def test_the_parts_of_a_refused_batch_go_to_the_address_that_was_corrected(
    company, connected, make_rule, sandbox, on_the_wire, frequency
) -> None:
    make_rule("lead_created", frequency=frequency)
    leads = [
        make_lead(company, email=f"wrong{number}@example.com") for number in range(4)
    ]
    sandbox.faults.add(REFUSED)

    def correct() -> None:
        for number, lead in enumerate(leads):
            lead.email = f"right{number}@example.com"
            lead.save()

    on_the_wire(correct)
    send_all(company)

    assert hashes(sandbox) == [
        email_sha256(f"right{number}@example.com") for number in range(4)
    ]
    assert states(company) == ["accepted"] * 4


def test_a_batch_that_was_read_ahead_goes_to_the_address_that_was_corrected(
    company, connected, make_rule, sandbox, settings, on_the_wire
) -> None:
    settings.BATCH_SIZE = 1
    make_rule("lead_created")
    make_lead(company)
    make_lead(company, email="wrong@example.com")
    on_the_wire(
        lambda: Lead.objects.filter(email="wrong@example.com").update(
            email="right@example.com"
        )
    )

    send_all(company)

    assert hashes(sandbox)[1] == email_sha256("right@example.com")


def test_an_address_that_is_removed_has_the_batch_wait(
    company, connected, make_rule, sandbox, settings, on_the_wire
) -> None:
    settings.BATCH_SIZE = 1
    make_rule("lead_created")
    make_lead(company)
    make_lead(company, email="wrong@example.com")
    on_the_wire(lambda: Lead.objects.filter(email="wrong@example.com").update(email=""))

    send_all(company)

    assert states(company) == ["accepted", "waiting"]


@pytest.mark.parametrize("gone", ["lead", "deal"])
def test_what_is_deleted_is_not_in_a_batch_that_was_read_ahead(
    company, connected, make_rule, sandbox, settings, on_the_wire, gone
) -> None:
    settings.BATCH_SIZE = 1
    make_rule("deal_created")
    make_deal(make_lead(company))
    deal = make_deal(make_lead(company))
    on_the_wire((deal.lead if gone == "lead" else deal).delete)

    send_all(company)

    assert (states(company), len(received(sandbox))) == (["accepted", "cancelled"], 1)


def test_a_test_event_is_read_again_and_sent(
    company, connected, make_rule, sandbox, monkeypatch
) -> None:
    rule = make_rule("lead_created")
    services.send_test_event(rule=rule)
    spend = recall.spend_unless_recalled

    def recall_first(*args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(recall, "spend_unless_recalled", spend)
        change(rule, "id")
        return spend(*args, **kwargs)

    monkeypatch.setattr(recall, "spend_unless_recalled", recall_first)
    send_all(company)

    assert [element["conversion"][-6:] for element in received(sandbox)] == ["104099"]
