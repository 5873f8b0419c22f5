"""A backfill sends past CRM events after new ones, each once, and reports the outcome of each."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from capi.delivery import settle, sweep
from capi.delivery.backfill import preview
from capi.delivery.deliver import deliver
from capi.models import Backfill, Connection, ConversionEvent, ConversionRule
from capi.services import backfills
from crm.models import AuditEntry, CrmEvent, Deal, Lead, LeadStatus
from crm.services.companies import deactivate_company
from crm.services.erasure import erase_lead
from tests.capi.conftest import received, requests_made, send_all, states
from tests.capi.delivery.test_lane import in_threads
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db(transaction=True)


def ago(days: float):
    return timezone.now() - timedelta(days=days)


def date_back(days: float, **of) -> None:
    """As if these CRM events had happened so many days ago."""
    CrmEvent.objects.filter(**of).update(occurred_at=ago(days))


def make_leads(company, count: int, *, days: float = 5) -> None:
    """So many leads that were created so many days ago, before there was a rule."""
    Lead.objects.bulk_create(
        Lead(company=company, first_name=f"Lead {n}", email=f"{n}@example.com")
        for n in range(count)
    )
    date_back(days, company=company)


def plan(rule, *, days: float = 30):
    return dict(preview(rule, since=ago(days), until=timezone.now()))


def start(rule, *, days: float = 30, **fields) -> Backfill:
    return backfills.start(rule=rule, since=ago(days), until=timezone.now(), **fields)


def qualify(lead) -> None:
    for meaning in ("new", "qualified"):
        Lead.objects.filter(pk=lead.pk).update(
            status=LeadStatus.objects.get(company=lead.company, meaning=meaning)
        )


def test_each_past_crm_event_has_its_row_in_the_plan_and_they_add_up(
    company, connected, sandbox, make_rule
) -> None:
    rule = make_rule("lead_qualified")
    sent, queued = make_lead(company), make_lead(company)
    qualify(sent)
    send_all(company)
    qualify(queued)
    rule.is_active = False
    rule.save()
    qualify(sent)  # a duplicate of what was sent
    twice = make_lead(company)
    qualify(twice)
    qualify(twice)  # a duplicate of the one before it
    qualify(make_lead(company, email=""))
    qualify(make_lead(company, share_with_ad_platforms=False))
    old, gone = make_lead(company), make_lead(company)
    qualify(old)
    date_back(91, lead=old)
    qualify(gone)
    gone.delete()
    rule.is_active = True
    rule.save()

    foreseen = plan(rule, days=100)

    assert foreseen == {
        "goes": 1, "no_email": 1, "opted_out": 1, "already_counted": 2, "too_old": 1, "sent": 1, "known": 1,
        "lead_deleted": 1,
    }  # fmt: skip
    assert (
        sum(foreseen.values())
        == CrmEvent.objects.filter(company=company, kind="lead_qualified").count()
    )


def test_a_deal_that_was_deleted_is_in_the_plan_and_gets_no_event(
    company, connected, sandbox, make_rule
) -> None:
    lead = make_lead(company)
    make_deal(lead)
    Deal.objects.filter(pk=make_deal(lead).pk).delete()
    rule = make_rule("deal_created")

    assert plan(rule) == {"goes": 1, "deal_deleted": 1}

    start(rule)
    send_all(company)

    assert states(company) == ["accepted"]


def test_what_comes_of_it_is_what_was_foreseen(
    company, connected, sandbox, make_rule, settings
) -> None:
    settings.BATCH_SIZE = 7
    make_leads(company, 20)
    make_lead(company, email="")
    make_lead(company, share_with_ad_platforms=False)
    make_lead(company, first_name="Gone").delete()
    rule = make_rule()

    backfill = start(rule)
    send_all(company)

    backfill.refresh_from_db()
    assert backfill.state == "done"
    assert backfill.finished_at is not None
    assert (
        backfill.done
        == backfill.planned
        == {"goes": 20, "no_email": 1, "opted_out": 1, "lead_deleted": 1}
    )
    assert sorted(states(company)) == ["accepted"] * 20 + ["skipped", "waiting"]
    assert len(received(sandbox)) == 20
    assert requests_made(sandbox) == [200, 200, 200]
    event = (
        ConversionEvent.objects.filter(state="accepted")
        .select_related("crm_event")
        .first()
    )
    assert event.event_id == f"lm-{event.crm_event.public_id.hex}-{rule.pk}"
    assert (event.backfill_id, event.happened_at) == (
        backfill.pk,
        event.crm_event.occurred_at,
    )


def test_run_twice_it_sends_nothing_twice(
    company, connected, sandbox, make_rule
) -> None:
    make_leads(company, 20)
    rule = make_rule()
    start(rule)
    send_all(company)

    assert plan(rule) == {"sent": 20}
    with pytest.raises(ValidationError, match="nothing to send"):
        start(rule)
    # Nor is anything sent again by a backfill that gets past this check.
    Backfill.objects.create(
        company=company, rule=rule, since=ago(30), until=timezone.now()
    )
    send_all(company)

    assert (
        len({element["eventId"] for element in received(sandbox)})
        == len(received(sandbox))
        == 20
    )
    assert Backfill.objects.first().done == {"sent": 20}


def test_the_oldest_event_of_a_lead_takes_its_one_place(
    company, connected, sandbox, make_rule, settings
) -> None:
    settings.BATCH_SIZE = 1
    lead = make_lead(company)
    qualify(lead)
    qualify(lead)
    newer, older = CrmEvent.objects.filter(kind="lead_qualified").order_by("pk")
    date_back(1, pk=newer.pk)
    date_back(9, pk=older.pk)

    start(make_rule("lead_qualified"))
    send_all(company)

    events = {
        event.crm_event_id: (event.state, event.reason)
        for event in ConversionEvent.objects.all()
    }
    assert events == {
        older.pk: ("accepted", ""),
        newer.pk: ("skipped", "already_counted"),
    }


def test_events_of_one_moment_are_all_gone_through(
    company, connected, sandbox, make_rule, settings
) -> None:
    settings.BATCH_SIZE = 3
    make_leads(company, 10)
    assert CrmEvent.objects.values("occurred_at").distinct().count() == 1

    start(make_rule())
    send_all(company)

    assert states(company) == ["accepted"] * 10


def test_what_happens_meanwhile_waits_for_one_batch_and_no_more(
    company, connected, sandbox, make_rule, settings, monkeypatch
) -> None:
    settings.BATCH_SIZE = 10
    make_leads(company, 50)
    start(make_rule())
    write = settle.write

    def and_a_lead_comes(lease, outcome, **kwargs):
        monkeypatch.setattr(settle, "write", write)
        make_lead(company, email="now@example.com")
        return write(lease, outcome, **kwargs)

    monkeypatch.setattr(settle, "write", and_a_lead_comes)
    send_all(company)

    requests = [entry.elements for entry in reversed(sandbox.ledger.tail(100))]
    now = ConversionEvent.objects.get(lead__email="now@example.com").event_id
    assert [len(elements) for elements in requests] == [10, 1, 10, 10, 10, 10]
    assert [element["eventId"] for element in requests[1]] == [now]
    assert states(company) == ["accepted"] * 51


def test_a_rule_in_trouble_never_has_more_than_a_batch_queued(
    company, connected, sandbox, make_rule, settings
) -> None:
    settings.BATCH_SIZE = 5
    make_leads(company, 30)
    start(make_rule("lead_created", "503503"))
    for _ in range(4):
        send_all(company)
        Connection.objects.update(next_attempt_at=None)

    assert states(company) == ["pending"] * 5
    assert sweep.due_companies() == []


def test_paused_it_stops_after_its_batch_and_resumed_it_goes_on(
    company, connected, sandbox, make_rule, settings
) -> None:
    settings.BATCH_SIZE = 5
    make_leads(company, 12)
    backfill = start(make_rule())

    assert backfills.pause(backfill=backfill)
    assert not backfills.pause(backfill=backfill)
    send_all(company)
    assert states(company) == []
    assert sweep.due_companies() == []

    assert backfills.resume(backfill=backfill)
    assert sweep.due_companies() == [company.pk]
    send_all(company)

    assert states(company) == ["accepted"] * 12
    assert not backfills.resume(backfill=backfill)


def test_cancelled_it_takes_back_what_is_queued_of_it_and_nothing_else(
    company, connected, sandbox, make_rule, settings
) -> None:
    settings.BATCH_SIZE = 5
    make_leads(company, 12)
    rule = make_rule("lead_created", "403403")
    backfill = start(rule)
    send_all(company)  # LinkedIn's answer pauses the rule
    make_lead(company, email="now@example.com")

    assert backfills.cancel(backfill=backfill) == 5

    backfill.refresh_from_db()
    assert (backfill.state, backfill.reason) == ("cancelled", "")
    assert states(company) == ["cancelled"] * 5 + ["pending"]
    assert set(
        ConversionEvent.objects.filter(state="cancelled").values_list(
            "reason", flat=True
        )
    ) == {"backfill_cancelled"}
    assert backfills.cancel(backfill=backfill) is None


@pytest.mark.parametrize(
    "held",
    [{"is_active": False}, {"is_paused": True, "paused_reason": "rule_not_found"}],
    ids=["off", "paused"],
)
def test_it_holds_while_its_rule_does_not_send(
    company, connected, sandbox, make_rule, held
) -> None:
    make_leads(company, 3)
    rule = make_rule()
    start(rule)
    ConversionRule.objects.filter(pk=rule.pk).update(**held)

    send_all(company)

    assert states(company) == []
    assert sweep.due_companies() == []
    assert requests_made(sandbox) == []


def test_it_holds_while_the_connection_is_paused(
    company, connected, sandbox, make_rule
) -> None:
    make_leads(company, 3)
    start(make_rule())
    Connection.objects.update(is_paused=True, paused_reason="token_refused")

    send_all(company)

    assert states(company) == []
    assert sweep.due_companies() == []


def test_it_ends_with_its_rule(company, connected, sandbox, make_rule) -> None:
    make_leads(company, 3)
    rule = make_rule()
    backfill = start(rule)
    rule.delete()

    send_all(company)
    sweep.tidy()

    backfill.refresh_from_db()
    assert (backfill.state, backfill.reason, states(company)) == (
        "cancelled",
        "rule_deleted",
        [],
    )


def test_it_ends_with_its_company(company, connected, sandbox, make_rule) -> None:
    make_leads(company, 3)
    backfill = start(make_rule())
    deactivate_company(company=company)

    send_all(company)

    backfill.refresh_from_db()
    assert (backfill.state, backfill.reason, states(company)) == (
        "cancelled",
        "company_closed",
        [],
    )


def test_who_opts_out_or_is_erased_meanwhile_is_not_sent(
    company, connected, sandbox, make_rule, settings
) -> None:
    settings.BATCH_SIZE = 1
    make_leads(company, 3)
    start(make_rule())
    first, second, third = Lead.objects.order_by("pk")
    Lead.objects.filter(pk=first.pk).update(share_with_ad_platforms=False)
    erase_lead(lead=second)

    send_all(company)

    assert {event["eventId"] for event in received(sandbox)} == {
        ConversionEvent.objects.get(lead=third).event_id
    }
    assert sorted(states(company)) == ["accepted", "skipped", "skipped"]


def test_what_turns_90_days_while_it_waits_is_expired(
    company, connected, sandbox, make_rule
) -> None:
    make_leads(company, 2, days=89)
    backfill = start(make_rule(), days=90)
    date_back(90.01, lead=Lead.objects.first())

    Backfill.objects.update(since=ago(95))
    send_all(company)

    backfill.refresh_from_db()
    assert backfill.done == {"goes": 1, "too_old": 1}
    expired = ConversionEvent.objects.get(state="expired")
    assert (expired.reason, expired.next_attempt_at, expired.once_key) == (
        "too_old",
        None,
        None,
    )
    assert expired.settled_at is not None


def test_a_neighbour_s_past_stays_its_own(
    company, other_company, connected, sandbox, make_rule
) -> None:
    make_leads(company, 3)
    make_leads(other_company, 4)
    theirs = make_rule(company=other_company)

    start(make_rule())
    send_all(company)

    assert states(company) == ["accepted"] * 3
    assert states(other_company) == []
    assert plan(theirs) == {"goes": 4}


def test_of_two_that_are_started_at_once_one_is_refused(
    company, connected, sandbox, make_rule
) -> None:
    make_leads(company, 5)
    rule = make_rule()
    refused: list[ValidationError] = []

    def try_it() -> None:
        try:
            start(rule)
        except ValidationError as error:
            refused.append(error)

    in_threads(2, try_it)
    send_all(company)

    assert [error.messages for error in refused] == [
        [
            "Lead created already has an unfinished backfill. Wait for it to end, or cancel it."
        ]
    ]
    assert Backfill.objects.count() == 1
    assert len(received(sandbox)) == 5


def test_eight_workers_send_each_past_event_once(
    company, connected, sandbox, make_rule, settings
) -> None:
    settings.BATCH_SIZE = 5
    make_leads(company, 40)
    start(make_rule("lead_created", "104012"))
    start(make_rule("lead_created", "104013"))

    in_threads(8, lambda: deliver(company.pk))

    assert states(company) == ["accepted"] * 80
    assert len(received(sandbox)) == 80


def test_a_rule_that_is_off_is_told_so(company, make_rule) -> None:
    make_leads(company, 3)

    with pytest.raises(ValidationError, match="is off"):
        start(make_rule(is_active=False))

    assert not Backfill.objects.exists()


def test_each_step_is_on_record(company, connected, admin, make_rule) -> None:
    make_leads(company, 3)
    rule = make_rule()
    backfill = start(rule, user=admin.user)
    backfills.pause(backfill=backfill, user=admin.user)
    backfills.resume(backfill=backfill, user=admin.user)
    backfills.cancel(backfill=backfill, user=admin.user)

    entries = (
        AuditEntry.objects.for_company(company)
        .filter(action__startswith="backfill")
        .order_by("pk")
    )
    assert [entry.action for entry in entries] == [
        "backfill_started", "backfill_paused", "backfill_resumed", "backfill_cancelled"
    ]  # fmt: skip
    assert {
        (entry.actor_id, entry.object_kind, entry.object_id) for entry in entries
    } == {(admin.user_id, "backfill", backfill.pk)}
    assert entries[0].details["events"] == 3
