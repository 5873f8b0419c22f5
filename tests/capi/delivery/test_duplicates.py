"""Duplicates under a rule that counts once: nothing is counted twice, and nothing real is lost."""

import uuid
from collections.abc import Callable
from datetime import timedelta
from unittest.mock import Mock

import pytest
from django.db.models.functions import Now

from capi import services
from capi.delivery import backfill, cancellation, http_session, sweep
from capi.linkedin.decisions import Answer, TransportError
from capi.linkedin.sandbox.faults import Drop, Fault
from capi.models import Backfill, Connection, ConversionEvent
from capi.models.choices import Reason
from capi.models.functions import database_now
from capi.selectors.dry_run import dry_run
from capi.selectors.expected_conversions import of_leads
from capi.selectors.explanations.explain import explain
from crm.models import CrmEvent, CrmEventKind, Deal, Lead, LeadStatus, Stage
from crm.models.tracking.origin import acting_as
from crm.services.editing import change_status
from crm.services.erasure import erase_lead
from crm.services.undo import undo
from tests.capi.conftest import received, send_all, states, wait_is_over
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db

NO_ANSWER = Fault(drop=Drop.AFTER_BODY)


@pytest.fixture
def rule(connected, make_rule):
    return make_rule("lead_qualified", frequency="once")


@pytest.fixture
def lead(company, rule):
    return make_lead(company)


def pick(lead: Lead, meaning: str) -> uuid.UUID:
    """Give the lead a status in the browser. Returns the action, which can be undone."""
    action = uuid.uuid4()
    with acting_as(None, action=action):
        status = LeadStatus.objects.get(company=lead.company, meaning=meaning)
        change_status(leads=Lead.objects.filter(pk=lead.pk), status=status)
    return action


def qualify_all(company) -> uuid.UUID:
    action = uuid.uuid4()
    with acting_as(None, action=action):
        status = LeadStatus.objects.get(company=company, meaning="qualified")
        change_status(leads=Lead.objects.filter(company=company), status=status)
    return action


def win(company) -> uuid.UUID:
    action = uuid.uuid4()
    with acting_as(None, action=action):
        stage = Stage.objects.filter(company=company, meaning="won").first()
        Deal.objects.filter(company=company).update(stage=stage)
    return action


def qualify_again(lead: Lead) -> None:
    pick(lead, "new")
    pick(lead, "qualified")


def undo_and_qualify_again(lead: Lead, action: uuid.UUID) -> None:
    undo(company=lead.company, action=action)
    pick(lead, "qualified")


def opt_out_and_in(lead: Lead) -> None:
    for shares in (False, True):
        Lead.objects.filter(pk=lead.pk).update(share_with_ad_platforms=shares)


def cancel(lead: Lead) -> None:
    pks = list(ConversionEvent.objects.filter(lead=lead).values_list("pk", flat=True))
    cancellation.cancel(company_id=lead.company_id, pks=pks)


def expire(lead: Lead) -> None:
    ConversionEvent.objects.filter(lead=lead).update(
        happened_at=Now() - timedelta(days=91)
    )
    sweep.tidy()


def during_the_request(monkeypatch, do: Callable[[], None]) -> None:
    """Run `do` once, while the next request is on the wire."""
    send, left = http_session.send, [do]

    def send_meanwhile(**request):
        if left:
            left.pop()()
        return send(**request)

    monkeypatch.setattr(http_session, "send", send_meanwhile)


def event_ids(sandbox) -> set[str]:
    return {element["eventId"] for element in received(sandbox)}


def send_all_in_the_end(company) -> None:
    for _ in range(2):
        Connection.objects.update(
            next_attempt_at=None, resting_since=None, is_paused=False, paused_reason=""
        )
        wait_is_over()
        send_all(company)


# --- what is undone releases its key ---


@pytest.mark.parametrize("status", [503, 429, 401])
def test_what_was_made_again_during_a_request_that_failed_is_sent(
    company, lead, sandbox, monkeypatch, status
) -> None:
    action = pick(lead, "qualified")
    during_the_request(monkeypatch, lambda: undo_and_qualify_again(lead, action))
    sandbox.faults.add(Fault(status=status))

    send_all(company)
    send_all_in_the_end(company)

    assert states(company) == ["cancelled", "accepted"]


def test_what_was_made_again_during_a_request_without_an_answer_is_sent_under_its_id(
    company, lead, sandbox, monkeypatch
) -> None:
    action = pick(lead, "qualified")
    during_the_request(monkeypatch, lambda: undo_and_qualify_again(lead, action))
    sandbox.faults.add(NO_ANSWER)

    send_all(company)
    send_all_in_the_end(company)

    assert states(company) == ["cancelled", "accepted"]
    assert (len(received(sandbox)), len(event_ids(sandbox))) == (2, 1)


@pytest.mark.parametrize(
    ("fault", "requests"), [(Fault(status=503), 1), (NO_ANSWER, 2)]
)
def test_what_was_given_up_and_undone_leaves_its_key_and_its_id_if_linkedin_may_have_it(
    company, lead, sandbox, fault, requests
) -> None:
    action = pick(lead, "qualified")
    ConversionEvent.objects.update(attempts=100)
    sandbox.faults.add(fault)
    send_all(company)

    undo_and_qualify_again(lead, action)
    send_all_in_the_end(company)

    assert states(company) == ["exhausted", "accepted"]
    assert (len(received(sandbox)), len(event_ids(sandbox))) == (requests, 1)


def test_what_is_made_again_after_an_unclear_answer_and_an_undo_is_sent_under_the_same_id(
    company, lead, sandbox
) -> None:
    action = pick(lead, "qualified")
    sandbox.faults.add(NO_ANSWER)
    send_all(company)

    for _ in range(2):  # the second time, the event that took over the id is undone
        undo(company=company, action=action)
        action = pick(lead, "qualified")
    send_all_in_the_end(company)

    assert states(company) == ["cancelled", "cancelled", "accepted"]
    assert (len(received(sandbox)), len(event_ids(sandbox))) == (2, 1)
    assert ConversionEvent.objects.get(state="accepted").once_key == lead.pk


@pytest.mark.parametrize("fault", [Fault(status=503), NO_ANSWER])
def test_what_had_ended_before_its_undo_leaves_its_key_to_what_came_after_it(
    company, lead, sandbox, fault
) -> None:
    action = pick(lead, "qualified")
    ConversionEvent.objects.update(attempts=100)
    sandbox.faults.add(fault)
    send_all(company)
    qualify_again(lead)
    pick(lead, "new")

    undo(company=company, action=action)
    send_all_in_the_end(company)

    assert states(company) == ["exhausted", "accepted"]
    assert len(event_ids(sandbox)) == 1


def test_what_leaves_its_id_stands_in_the_way_of_no_preview_and_no_backfill(
    company, lead, rule, connected, sandbox
) -> None:
    services.set_rule_active(rule=rule, active=False)
    pick(lead, "qualified")  # a backfill finds this one
    pick(lead, "new")
    services.set_rule_active(rule=rule, active=True)
    action = pick(lead, "qualified")
    sandbox.faults.add(NO_ANSWER)
    send_all(company)
    undo(company=company, action=action)
    since, until = database_now() - timedelta(days=1), database_now()

    [expected] = of_leads(
        company, Lead.objects.filter(pk=lead.pk), CrmEventKind.LEAD_QUALIFIED
    )
    tried = dry_run(rule, lead, None, connected)
    found = backfill.preview(rule, since=since, until=until)
    Backfill.objects.create(company=company, rule=rule, since=since, until=until)
    send_all_in_the_end(company)

    assert (expected.now, tried.taken_by, found["goes"]) == (1, None, 1)
    assert sorted(states(company)) == ["accepted", "cancelled"]
    assert len(event_ids(sandbox)) == 1


def test_many_that_are_made_again_take_over_each_its_own(
    company, rule, sandbox
) -> None:
    leads = [
        make_lead(company, email=f"lead{number}@example.com") for number in range(3)
    ]
    action = qualify_all(company)
    sandbox.faults.add(NO_ANSWER)
    send_all(company)
    undo(company=company, action=action)

    qualify_all(company)
    send_all_in_the_end(company)

    assert states(company) == ["cancelled"] * 3 + ["accepted"] * 3
    assert len(event_ids(sandbox)) == 3
    taken = ConversionEvent.objects.filter(state="accepted").values_list(
        "lead", "once_key"
    )
    assert sorted(taken) == [(lead.pk, lead.pk) for lead in leads]


def test_an_event_id_of_someone_who_was_erased_is_left_to_nobody_else(
    company, connected, make_rule, sandbox
) -> None:
    make_rule("deal_won", frequency="once")
    ada, bob = make_lead(company), make_lead(company, email="bob@example.com")
    deals = [make_deal(ada), make_deal(bob)]
    action = win(company)
    sandbox.faults.add(NO_ANSWER)
    send_all(company)
    undo(company=company, action=action)
    erase_lead(lead=ada)

    Deal.objects.filter(pk=deals[0].pk).update(lead=bob)
    win(company)
    send_all_in_the_end(company)

    won_by_bob = ConversionEvent.objects.filter(
        lead=bob, crm_event__taken_back_at=None
    ).order_by("deal")
    assert list(won_by_bob.values_list("deal", "state")) == [
        (deals[0].pk, "skipped"),
        (deals[1].pk, "accepted"),
    ]


# --- what LinkedIn has or may have keeps its key ---


@pytest.mark.parametrize("end", [cancel, opt_out_and_in])
@pytest.mark.parametrize(("fault", "state"), [(None, "accepted"), (NO_ANSWER, None)])
def test_what_was_ended_during_its_request_gets_its_key_back(
    company, lead, sandbox, monkeypatch, end, fault, state
) -> None:
    pick(lead, "qualified")

    def end_and_qualify_again() -> None:
        end(lead)
        qualify_again(lead)

    during_the_request(monkeypatch, end_and_qualify_again)
    if fault:
        sandbox.faults.add(fault)
    send_all(company)
    send_all_in_the_end(company)

    first, second = ConversionEvent.objects.order_by("pk")
    assert (first.state in (state, "cancelled", "skipped"), first.once_key) == (
        True,
        lead.pk,
    )
    assert (second.state, second.reason) == ("skipped", Reason.ALREADY_COUNTED)
    assert len(received(sandbox)) == 1


@pytest.mark.parametrize("end", [cancel, opt_out_and_in, expire])
@pytest.mark.parametrize(
    ("fault", "left"), [(NO_ANSWER, "skipped"), (Fault(status=503), "accepted")]
)
def test_only_what_linkedin_may_have_keeps_its_key_when_it_ends(
    company, lead, sandbox, end, fault, left
) -> None:
    pick(lead, "qualified")
    sandbox.faults.add(fault)
    send_all(company)

    end(lead)
    qualify_again(lead)
    send_all_in_the_end(company)

    ended = ConversionEvent.objects.earliest("pk")
    assert states(company)[1] == left
    assert ("LinkedIn may have this event" in explain(ended, None).what) == (
        left == "skipped"
    )


def test_after_a_retry_it_still_may_have_it(company, lead, sandbox) -> None:
    pick(lead, "qualified")
    sandbox.faults.add(NO_ANSWER)
    send_all(company)
    for do in (services.cancel_events, services.retry_events, services.cancel_events):
        do(company=company, pks=[ConversionEvent.objects.get().pk])

    qualify_again(lead)

    assert states(company) == ["cancelled", "skipped"]


def test_what_never_left_has_not_arrived(company, lead, monkeypatch) -> None:
    pick(lead, "qualified")
    answer = Answer(None, {}, b"", TransportError.UNREACHABLE, 1, was_sent=False)
    monkeypatch.setattr(http_session, "send", Mock(return_value=answer))
    send_all(company)
    cancel(lead)

    qualify_again(lead)

    assert states(company) == ["cancelled", "pending"]


# --- a key that is released goes to the oldest duplicate ---


def test_the_first_expires_and_the_younger_one_takes_its_key(
    company, lead, sandbox
) -> None:
    Connection.objects.update(is_paused=True)
    pick(lead, "qualified")
    qualify_again(lead)
    ConversionEvent.objects.filter(state="pending").update(
        happened_at=Now() - timedelta(days=91)
    )

    sweep.tidy()
    send_all_in_the_end(company)

    assert states(company) == ["expired", "accepted"]


@pytest.mark.django_db(transaction=True)
def test_it_does_so_although_the_sweep_was_killed_on_the_way(
    company, lead, sandbox, monkeypatch
) -> None:
    Connection.objects.update(is_paused=True)
    pick(lead, "qualified")
    qualify_again(lead)
    ConversionEvent.objects.filter(state="pending").update(
        happened_at=Now() - timedelta(days=91)
    )
    with monkeypatch.context() as patched, pytest.raises(RuntimeError):
        patched.setattr(
            "capi.delivery.duplicates.pass_on", Mock(side_effect=RuntimeError)
        )
        sweep.tidy()

    sweep.tidy()
    send_all_in_the_end(company)

    assert states(company) == ["expired", "accepted"]


@pytest.mark.parametrize("leads", [1, 2])
def test_the_first_is_rejected_and_the_next_takes_its_key(
    company, lead, sandbox, leads
) -> None:
    if leads == 2:
        pick(make_lead(company, email="bob@example.com"), "qualified")
    pick(lead, "qualified")
    qualify_again(lead)
    body = (
        '{"elements":[{"status":201},{"status":422}]}'
        if leads == 2
        else '{"message":"odd","status":422}'
    )
    sandbox.faults.add(Fault(status=200 if leads == 2 else 422, body=body))

    send_all(company)
    send_all_in_the_end(company)

    assert states(company)[-2:] == ["rejected", "accepted"]


def test_what_a_backfill_kept_out_goes_once_it_is_cancelled(
    company, lead, rule, sandbox
) -> None:
    pick(lead, "qualified")
    backfill = Backfill.objects.create(
        company=company, rule=rule, since=Now() - timedelta(days=1), until=Now()
    )
    ConversionEvent.objects.update(backfill=backfill)
    qualify_again(lead)

    cancellation.cancel_backfill(backfill)
    send_all_in_the_end(company)

    assert states(company) == ["cancelled", "accepted"]


def test_what_a_person_cancelled_lets_no_other_one_go(company, lead, sandbox) -> None:
    pick(lead, "qualified")
    qualify_again(lead)

    cancel(lead)
    send_all_in_the_end(company)

    assert states(company) == ["cancelled", "skipped"]


def test_nor_does_the_undo_of_another_one_later(company, lead, sandbox) -> None:
    Connection.objects.update(is_paused=True)
    pick(lead, "qualified")
    qualify_again(lead)
    pick(lead, "new")
    action = pick(lead, "qualified")
    cancellation.cancel(
        company_id=company.pk, pks=[ConversionEvent.objects.earliest("pk").pk]
    )

    undo(company=company, action=action)
    send_all_in_the_end(company)

    assert states(company) == ["cancelled", "skipped", "skipped"]


def test_nor_does_the_failure_of_the_request_that_contained_it(
    company, lead, sandbox, monkeypatch
) -> None:
    monkeypatch.setattr("capi.delivery.recall.wait_for", lambda requests: None)
    pick(lead, "qualified")
    qualify_again(lead)
    during_the_request(monkeypatch, lambda: cancel(lead))
    sandbox.faults.add(Fault(status=503))

    send_all(company)
    send_all_in_the_end(company)

    assert states(company) == ["cancelled", "skipped"]


def test_nobody_who_was_undone_or_opted_out_inherits(company, lead, sandbox) -> None:
    pick(lead, "qualified")
    pick(lead, "new")
    undone = pick(lead, "qualified")
    undo(company=company, action=undone)
    ConversionEvent.objects.filter(state="pending").update(
        happened_at=Now() - timedelta(days=91)
    )

    sweep.tidy()

    assert CrmEvent.objects.filter(taken_back_at__isnull=False).count() == 1
    assert "pending" not in states(company)


# --- a rule that begins to count once ---


@pytest.mark.parametrize("frequency", ["every_time", "per_person"])
def test_of_what_waits_when_a_rule_begins_to_count_once_the_oldest_goes(
    company, lead, rule, sandbox, frequency
) -> None:
    rule.frequency = frequency
    services.save_rule(rule=rule)
    pick(lead, "qualified")
    qualify_again(lead)
    before = Connection.objects.get().recalls

    rule.frequency = "once"
    services.save_rule(rule=rule)
    qualify_again(lead)
    send_all_in_the_end(company)

    assert states(company) == ["accepted", "skipped", "skipped"]
    # What was read for sending is checked again.
    assert Connection.objects.get().recalls > before


@pytest.mark.parametrize("frequency", ["every_time", "per_person"])
def test_what_was_sent_before_a_rule_began_to_count_once_has_its_place(
    company, lead, rule, sandbox, frequency
) -> None:
    rule.frequency = frequency
    services.save_rule(rule=rule)
    pick(lead, "qualified")
    Connection.objects.update(is_paused=True)
    qualify_again(lead)
    ConversionEvent.objects.filter(pk=ConversionEvent.objects.latest("pk").pk).update(
        state="accepted"
    )

    rule.frequency = "once"
    services.save_rule(rule=rule)

    assert states(company) == ["skipped", "accepted"]
    assert ConversionEvent.objects.get(state="accepted").once_key == lead.pk


def test_a_rule_that_is_mapped_to_deals_counts_no_lead_of_the_same_number(
    company, lead, rule
) -> None:
    pick(lead, "qualified")
    ConversionEvent.objects.update(state="accepted", once_key=1_000_000)

    rule.crm_event = "deal_created"
    services.save_rule(rule=rule)
    deal = make_deal(lead)

    assert list(
        ConversionEvent.objects.order_by("pk").values_list("once_key", flat=True)
    ) == [None, deal.pk]
