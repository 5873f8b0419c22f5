"""Retry and cancel: what they change, what they don't and why, and that nothing happens twice."""

import threading
from datetime import timedelta

import pytest
from django.db import connection as database
from django.db.models.functions import Now
from django.utils import timezone

from capi import services
from capi.delivery import deduplication, recall, retries
from capi.delivery import deliver as pipeline
from capi.linkedin.sandbox.faults import Fault
from capi.models import Connection, ConversionEvent
from capi.models.choices import Reason
from capi.selectors.event_actions import (
    ChosenEvents,
    allowed_actions,
    preview_of_retrying,
)
from capi.selectors.explanations.reasons import REASONS
from crm.models import AuditEntry, Lead
from crm.services.erasure import erase_lead
from tests.capi.conftest import received, send_all, states
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db
with_commits = pytest.mark.django_db(transaction=True)


def ended(
    rule, state: str = "exhausted", reason: str = "server_trouble", **fields
) -> ConversionEvent:
    """A lead's event that ended in this state."""
    lead = make_lead(rule.company, **fields.pop("lead_fields", {}))
    event = ConversionEvent.objects.get(lead=lead, rule=rule)
    once_key = event.once_key if state == "exhausted" else None
    changes = {
        "attempts": 9,
        "next_attempt_at": None,
        "settled_at": Now(),
        "once_key": once_key,
        **fields,
    }
    ConversionEvent.objects.filter(pk=event.pk).update(
        state=state, reason=reason, **changes
    )
    event.refresh_from_db()
    return event


def retry(company) -> int:
    pks = list(ConversionEvent.objects.order_by("pk").values_list("pk", flat=True))
    return services.retry_events(company=company, pks=pks).events


def cancel(company) -> int:
    pks = list(ConversionEvent.objects.order_by("pk").values_list("pk", flat=True))
    return services.cancel_events(company=company, pks=pks).events


def obstacle_of(event) -> Reason | None:
    """Why the event can't be sent again; None where it can."""
    possible = allowed_actions(event)
    assert possible.retry == (possible.obstacle is None)
    return next(
        (reason for reason, words in REASONS.items() if words == possible.obstacle),
        None,
    )


def test_an_event_that_was_given_up_goes_out_with_its_old_event_id(
    company, connected, sandbox, make_rule
) -> None:
    event = ended(make_rule())

    assert retry(company) == 1

    event.refresh_from_db()
    assert (event.state, event.reason, event.attempts, event.settled_at) == (
        "pending",
        "",
        0,
        None,
    )
    send_all(company)
    assert [element["eventId"] for element in received(sandbox)] == [event.event_id]
    assert retry(company) == 0


def test_a_cancelled_event_can_be_retried(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_lead(company)

    assert cancel(company) == 1

    event = ConversionEvent.objects.get()
    assert (event.state, event.reason, event.next_attempt_at, event.once_key) == (
        "cancelled", "cancelled_by_hand", None, None,
    )  # fmt: skip
    assert cancel(company) == 0
    send_all(company)
    assert received(sandbox) == []
    assert retry(company) == 1
    event.refresh_from_db()
    assert event.once_key == event.lead_id
    send_all(company)
    assert states(company) == ["accepted"]


def test_what_waits_for_an_address_and_what_is_on_hold_can_be_cancelled(
    company, connected, make_rule
) -> None:
    make_rule("lead_created", is_paused=True, paused_reason="rule_not_found")
    make_lead(company, email="")
    make_lead(company)

    cancel(company)

    assert states(company) == ["cancelled", "cancelled"]


@pytest.mark.parametrize(
    "state", ["accepted", "rejected", "expired", "skipped", "exhausted"]
)
def test_what_has_its_end_is_not_cancelled(
    company, connected, make_rule, state
) -> None:
    ended(make_rule(), state, "")

    assert cancel(company) == 0

    assert states(company) == [state]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("accepted", ""),
        ("expired", "too_old"),
        ("skipped", "opted_out"),
        ("skipped", "already_counted"),
        ("cancelled", "erased"),
        ("cancelled", "rule_deleted"),
        ("cancelled", "company_closed"),
    ],
)
def test_other_ends_are_final(company, connected, make_rule, state, reason) -> None:
    event = ended(make_rule(), state, reason)

    assert retry(company) == 0

    assert states(company) == [state]
    assert allowed_actions(event).retry is False


def test_a_test_event_is_neither_retried_nor_cancelled(
    company, connected, make_rule
) -> None:
    rule = make_rule()
    ConversionEvent.objects.create(company=company, rule=rule, is_test=True)
    ConversionEvent.objects.create(
        company=company, rule=rule, is_test=True, state="exhausted"
    )

    assert (retry(company), cancel(company)) == (0, 0)

    assert states(company) == ["pending", "exhausted"]


def test_each_obstacle_is_named_and_nothing_is_sent_again_over_it(
    company, connected, make_rule
) -> None:
    rule, off, gone = (
        make_rule(),
        make_rule(linkedin_id="2"),
        make_rule(linkedin_id="3"),
    )
    won = make_rule("deal_created")
    events = {
        Reason.OPTED_OUT: ended(rule),
        Reason.LEAD_DELETED: ended(rule),
        Reason.TOO_OLD: ended(rule, happened_at=Now() - timedelta(days=90)),
        Reason.RULE_INACTIVE: ConversionEvent.objects.get(
            rule=off, lead=Lead.objects.first()
        ),
        Reason.RULE_DELETED: ConversionEvent.objects.get(
            rule=gone, lead=Lead.objects.first()
        ),
    }
    deal = make_deal(make_lead(company))
    events[Reason.DEAL_DELETED] = ConversionEvent.objects.get(rule=won)
    pks = [event.pk for event in events.values()]
    ConversionEvent.objects.filter(pk__in=pks).update(
        state="exhausted", reason="timed_out", next_attempt_at=None
    )
    ConversionEvent.objects.exclude(pk__in=pks).update(state="accepted")
    deal.delete()
    Lead.objects.filter(pk=events[Reason.LEAD_DELETED].lead_id).get().delete()
    Lead.objects.filter(pk=events[Reason.OPTED_OUT].lead_id).update(
        share_with_ad_platforms=False
    )
    off.is_active = False
    off.save()
    gone.delete()

    named = {
        reason: obstacle_of(ConversionEvent.objects.get(pk=event.pk))
        for reason, event in events.items()
    }

    assert named == {reason: reason for reason in events}
    outlook = preview_of_retrying(
        company.pk, ChosenEvents(pks, ConversionEvent.objects.filter(pk__in=pks))
    )
    assert outlook.following == 0
    assert {words.what: count for words, count in outlook.others} == {
        REASONS[reason].what: 1 for reason in events
    }
    assert retry(company) == 0
    assert set(
        ConversionEvent.objects.filter(pk__in=pks).values_list("state", flat=True)
    ) == {"exhausted"}


def test_a_refused_event_goes_again_once_its_lead_was_corrected(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    lead = make_lead(company)
    sandbox.faults.add(Fault(status=422))
    send_all(company)
    event = ConversionEvent.objects.get()
    assert (event.state, obstacle_of(event)) == ("rejected", Reason.DATA_REFUSED)
    assert retry(company) == 0

    lead.email = "ada.lovelace@example.com"
    lead.save()

    assert obstacle_of(event) is None
    assert retry(company) == 1
    send_all(company)
    assert states(company) == ["accepted"]
    assert ConversionEvent.objects.get().earlier_attempts.count() == 1


def test_a_refused_event_goes_again_once_the_rule_has_another_id(
    company, connected, make_rule
) -> None:
    rule = make_rule()
    event = ended(rule, "rejected", "data_refused")
    attempt = company.attempts.create(
        rule=rule, linkedin_id=rule.linkedin_id, api_version="202609"
    )
    ConversionEvent.objects.update(last_attempt=attempt)
    assert obstacle_of(event) == Reason.DATA_REFUSED

    rule.linkedin_id = "104013"
    rule.save()

    assert obstacle_of(event) is None


def test_an_event_whose_place_was_taken_stays_as_it_is(
    company, connected, make_rule
) -> None:
    rule = make_rule()
    event = ended(rule, "cancelled", "cancelled_by_hand")
    later = ConversionEvent.objects.create(
        company=company,
        rule=rule,
        lead=event.lead,
        once_key=event.lead_id,
        event_id="later",
        state="accepted",
    )

    assert retry(company) == 0

    assert obstacle_of(event) == Reason.ALREADY_COUNTED
    assert states(company) == ["cancelled", later.state]


def test_of_two_events_that_need_one_place_the_first_gets_it(
    company, connected, make_rule
) -> None:
    first = ended(make_rule(), "cancelled", "cancelled_by_hand")
    second = ConversionEvent.objects.create(
        company=company, rule=first.rule, lead=first.lead, event_id="second", state="cancelled",
        reason="cancelled_by_hand", next_attempt_at=None, settled_at=Now(),
    )  # fmt: skip

    assert retry(company) == 1

    assert states(company) == ["pending", "cancelled"]
    assert obstacle_of(second) == Reason.ALREADY_COUNTED


def test_a_rule_that_sends_every_time_has_no_keys(
    company, connected, make_rule
) -> None:
    first = ended(make_rule(frequency="every_time"), "cancelled", "cancelled_by_hand")
    ConversionEvent.objects.create(
        company=company, rule=first.rule, lead=first.lead, event_id="second", state="cancelled",
        reason="rule_inactive", next_attempt_at=None, settled_at=Now(),
    )  # fmt: skip

    assert retry(company) == 2

    assert set(ConversionEvent.objects.values_list("state", "once_key")) == {
        ("pending", None)
    }


def test_an_event_without_an_address_waits_for_one_again(
    company, connected, make_rule
) -> None:
    ended(make_rule(), lead_fields={"email": ""})

    retry(company)
    send_all(company)

    assert states(company) == ["waiting"]


def test_nothing_of_a_neighbour_is_touched(
    company, other_company, connected, make_rule
) -> None:
    theirs = make_rule(company=other_company)
    ended(theirs)
    make_lead(other_company)
    pks = list(ConversionEvent.objects.values_list("pk", flat=True))

    done = [
        do(company=company, pks=pks).events
        for do in (services.retry_events, services.cancel_events)
    ]

    assert done == [0, 0]
    assert states(other_company) == ["exhausted", "pending"]
    assert (
        not AuditEntry.objects.for_company(company)
        .filter(action__in=["retry", "cancel"])
        .exists()
    )


def test_each_is_put_on_record_in_short_transactions(
    company, connected, make_rule, monkeypatch
) -> None:
    monkeypatch.setattr("crm.models.tracking.snapshots.CHUNK", 2)
    make_rule()
    pks = [ConversionEvent.objects.get(lead=make_lead(company)).pk for _ in range(3)]

    services.cancel_events(company=company, pks=pks)

    entries = (
        AuditEntry.objects.for_company(company).filter(action="cancel").order_by("pk")
    )
    assert [entry.details for entry in entries] == [
        {"events": 2, "from": pks[0], "to": pks[1]},
        {"events": 1, "from": pks[2], "to": pks[2]},
    ]


def test_when_its_time_is_up_it_says_how_far_it_came(
    company, connected, make_rule, monkeypatch
) -> None:
    monkeypatch.setattr("crm.models.tracking.snapshots.CHUNK", 2)
    make_rule()
    pks = [ConversionEvent.objects.get(lead=make_lead(company)).pk for _ in range(4)]
    monkeypatch.setattr("capi.services.events.STEP_SECONDS", 0)

    first = services.cancel_events(company=company, pks=pks)
    left = states(company)
    last = services.cancel_events(
        company=company, pks=[pk for pk in pks if pk > pks[1]]
    )

    assert first == services.BulkResult(2, reached=pks[1])
    assert left == ["cancelled", "cancelled", "pending", "pending"]
    assert last == services.BulkResult(2)
    assert states(company) == ["cancelled"] * 4


@with_commits
def test_an_erased_person_is_not_brought_back(
    company, connected, sandbox, make_rule
) -> None:
    event = ended(make_rule())
    erase_lead(lead=event.lead)

    assert retry(company) == 0

    send_all(company)
    assert received(sandbox) == []


@with_commits
def test_what_was_read_for_sending_before_a_cancel_is_not_sent(
    company, connected, sandbox, make_rule, monkeypatch
) -> None:
    make_rule()
    make_lead(company)
    encode = recall.spend_unless_recalled

    def cancel_first(*args, **kwargs):
        monkeypatch.setattr(recall, "spend_unless_recalled", encode)
        cancel(company)
        return encode(*args, **kwargs)

    monkeypatch.setattr(recall, "spend_unless_recalled", cancel_first)
    send_all(company)

    assert (states(company), received(sandbox)) == (["cancelled"], [])


@with_commits
def test_what_linkedin_took_while_it_was_cancelled_is_sent_and_keeps_its_place(
    company, connected, sandbox, make_rule
) -> None:
    make_rule()
    make_lead(company)
    sandbox.faults.add(Fault(delay_ms=1000))
    sender = threading.Thread(
        target=lambda: (pipeline.deliver(company.pk), database.close())
    )
    sender.start()
    while Connection.objects.get().request_started_at is None:
        assert sender.is_alive()

    cancel(company)

    event = ConversionEvent.objects.get()
    sender.join()
    assert (event.state, len(received(sandbox))) == ("accepted", 1)
    assert event.once_key == event.lead_id


@with_commits
def test_a_worker_and_two_people_at_once_send_nothing_twice(
    company, connected, sandbox, make_rule
) -> None:
    rule = make_rule()
    for number in range(40):
        ended(rule, lead_fields={"email": f"p{number}@example.com"})
    stop = timezone.now() + timedelta(seconds=1.5)
    errors: list[BaseException] = []

    def until_stopped(work):
        try:
            while timezone.now() < stop:
                work()
        except BaseException as error:
            errors.append(error)
        finally:
            database.close()

    works = [
        lambda: retry(company),
        lambda: retry(company),
        lambda: pipeline.deliver(company.pk),
    ]
    threads = [threading.Thread(target=until_stopped, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    send_all(company)

    sent = [element["eventId"] for element in received(sandbox)]
    assert not errors
    assert sorted(sent) == sorted(
        ConversionEvent.objects.values_list("event_id", flat=True)
    )


def test_a_place_that_is_taken_at_that_very_moment_is_left_alone(
    company, connected, make_rule, monkeypatch
) -> None:
    event = ended(make_rule(), "cancelled", "cancelled_by_hand")
    monkeypatch.setattr(
        deduplication, "is_already_counted", lambda: retries.Q(pk__isnull=True)
    )
    ConversionEvent.objects.create(
        company=company,
        rule=event.rule,
        lead=event.lead,
        once_key=event.lead_id,
        event_id="later",
        state="accepted",
    )

    assert retry(company) == 0

    assert states(company) == ["cancelled", "accepted"]
