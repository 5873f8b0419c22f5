"""Merges of two leads, their undo and what follows, in any order: no conversion is created, lost or doubled."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from capi import services
from capi.delivery import sweep
from capi.delivery.cancellation import cancel_backfill
from capi.models import Backfill, Connection, ConversionEvent
from capi.models.choices import Reason
from crm.models import Deal, Lead, LeadMerge, Stage
from crm.services.companies import deactivate_company, reactivate_company
from crm.services.editing import move_deal
from crm.services.lead_merges import MergeRefused, merge_leads
from crm.services.merge_undo import undo_merge
from crm.signals import company_closed
from tests.capi.conftest import hashes, send_all
from tests.capi.delivery.test_duplicates import qualify_again
from tests.capi.delivery.test_merges import (
    everything_is_sent,
    qualify,
    sent_ids,
    two_leads,
)
from tests.capi.delivery.test_result_stands import somebody_waits
from tests.conftest import make_deal, make_lead
from tests.faults.processes import wait_for

pytestmark = pytest.mark.django_db


def hold(company):
    Connection.objects.for_company(company).update(
        is_paused=True, paused_reason=Reason.TOKEN_REFUSED
    )


def go_on(company):
    Connection.objects.for_company(company).update(is_paused=False, paused_reason="")
    everything_is_sent(company)


def events_of(lead):
    return ConversionEvent.objects.filter(lead=lead)


def expire(events):
    """As if 90 days had passed since these events happened."""
    events.filter(state__in=["pending", "waiting"]).update(
        happened_at=Now() - timedelta(days=91)
    )
    sweep.tidy()


def set_frequency(rule, frequency):
    rule.frequency = frequency
    services.save_rule(rule=rule)


# Several merges into one lead


def test_an_opt_out_holds_until_the_last_merge_that_brought_one_is_undone(
    company, connected, make_rule, sandbox
):
    make_rule()
    hold(company)
    kept = make_lead(company)
    opted_out = [
        make_lead(company, share_with_ad_platforms=False, email=f"{n}@example.org")
        for n in range(2)
    ]
    first, second = (merge_leads(kept=kept, gone=lead) for lead in opted_out)

    with pytest.raises(MergeRefused, match="Undo that first"):
        undo_merge(merge=first)
    undo_merge(merge=second)
    go_on(company)
    assert sent_ids(sandbox) == []
    undo_merge(merge=first)
    everything_is_sent(company)

    assert len(sent_ids(sandbox)) == 1


def test_what_a_later_merge_has_ended_is_sent_after_both_are_undone(
    company, connected, make_rule, sandbox
):
    make_rule()
    hold(company)
    kept, first = make_lead(company), make_lead(company, email="first@example.org")
    merges = [merge_leads(kept=kept, gone=first)]
    second = make_lead(
        company, email="second@example.org", share_with_ad_platforms=False
    )
    merges.append(merge_leads(kept=kept, gone=second))

    for merge in reversed(merges):
        undo_merge(merge=merge)
    go_on(company)

    assert len(set(hashes(sandbox))) == 2
    assert Lead.objects.filter(share_with_ad_platforms=False).get() == second


def test_an_opt_out_that_was_entered_again_since_holds_for_both(
    company, connected, make_rule, sandbox
):
    make_rule()
    hold(company)
    kept, gone = (
        make_lead(company),
        make_lead(company, email="gone@example.org", share_with_ad_platforms=False),
    )
    merge = merge_leads(kept=kept, gone=gone)
    for shares in (True, False):
        Lead.objects.filter(pk=kept.pk).update(share_with_ad_platforms=shares)

    assert "Sharing with ad platforms" in undo_merge(merge=merge).changed_since
    go_on(company)

    assert sent_ids(sandbox) == []
    assert not Lead.objects.filter(share_with_ad_platforms=True).exists()


# What waits for an address, or should


@pytest.mark.parametrize("frequency", ["once", "every_time"])
def test_what_an_undo_has_opened_again_is_ended_by_the_next_merge(
    company, connected, make_rule, sandbox, frequency
):
    make_rule("lead_qualified", frequency=frequency)
    kept, gone = two_leads(company, "waiting", "sent")
    hold(company)

    undo_merge(merge=merge_leads(kept=kept, gone=gone, taken=["email"]))
    assert events_of(kept).get().state == "waiting"
    merge_leads(kept=kept, gone=gone, taken=["email"])
    go_on(company)

    assert len(sent_ids(sandbox)) == 1


@pytest.mark.parametrize("frequency", ["once", "every_time"])
@pytest.mark.parametrize("situations", [("pending", "sent"), ("sent", "pending")])
def test_an_event_on_hold_whose_lead_has_lost_its_address_waits_for_one(
    company, connected, make_rule, sandbox, frequency, situations
):
    make_rule("lead_qualified", frequency=frequency)
    kept, gone = two_leads(company, *situations)
    hold(company)
    without = kept if situations[0] == "pending" else gone
    Lead.objects.filter(pk=without.pk).update(email="")

    merge_leads(kept=kept, gone=gone, taken=["email"] if without == kept else [])
    go_on(company)

    assert len(sent_ids(sandbox)) == 1
    assert ConversionEvent.objects.get(state="skipped").reason == Reason.MERGED


@pytest.mark.parametrize("frequency", ["once", "every_time", "per_person"])
def test_what_was_ended_for_an_event_that_expires_is_sent_after_it(
    company, connected, make_rule, sandbox, frequency
):
    make_rule("lead_qualified", frequency=frequency)
    kept, gone = two_leads(company, "pending", "waiting")
    hold(company)
    own = events_of(kept).get()
    merge_leads(kept=kept, gone=gone)

    expire(ConversionEvent.objects.filter(pk=own.pk))
    go_on(company)

    assert sent_ids(sandbox) == list(
        ConversionEvent.objects.exclude(pk=own.pk).values_list("event_id", flat=True)
    )


def test_what_was_ended_by_a_merge_does_not_move_up_beside_another_event(
    company, connected, make_rule, sandbox
):
    make_rule("lead_qualified", frequency="every_time")
    kept, gone = two_leads(company, "pending", "waiting")
    qualify_again(kept)
    hold(company)
    first = events_of(kept).earliest("pk")
    merge_leads(kept=kept, gone=gone)

    expire(ConversionEvent.objects.filter(pk=first.pk))
    go_on(company)

    assert len(sent_ids(sandbox)) == 1
    assert ConversionEvent.objects.get(state="skipped").reason == Reason.MERGED


def test_one_of_a_person_who_was_counted_waits_again_once_it_is_another_person(
    company, connected, make_rule, sandbox
):
    make_rule("lead_qualified", frequency="per_person")
    kept, gone = two_leads(company, "sent", "waiting")
    merge = merge_leads(kept=kept, gone=gone)
    everything_is_sent(company)
    assert ConversionEvent.objects.latest("pk").reason == Reason.ALREADY_COUNTED

    undo_merge(merge=merge)
    assert events_of(gone).get().state == "waiting"
    Lead.objects.filter(pk=gone.pk).update(email="gone@example.org")
    everything_is_sent(company)

    assert len(set(hashes(sandbox))) == 2


def test_what_has_come_to_wait_is_sent_once_its_lead_is_another_one_with_an_address(
    company, connected, make_rule, sandbox
):
    make_rule("lead_qualified")
    kept, gone = two_leads(company, "nothing", "pending")
    merge = merge_leads(kept=kept, gone=gone)
    Lead.objects.filter(pk=kept.pk).update(email="")
    everything_is_sent(company)
    assert ConversionEvent.objects.get().state == "waiting"

    undo_merge(merge=merge)
    everything_is_sent(company)

    assert len(sent_ids(sandbox)) == 1


# What was skipped while the two were one


def test_what_a_backfill_found_counted_already_is_sent_after_the_undo(
    company, connected, make_rule, sandbox
):
    kept, gone = two_leads(company, "pending", "pending")
    merge = merge_leads(kept=kept, gone=gone)
    rule = make_rule("lead_qualified", frequency="once")
    since, until = (
        timezone.now() - timedelta(days=1),
        timezone.now() + timedelta(seconds=5),
    )
    Backfill.objects.create(company=company, rule=rule, since=since, until=until)
    everything_is_sent(company)
    assert len(sent_ids(sandbox)) == 1

    undo_merge(merge=merge)
    everything_is_sent(company)

    assert len(set(hashes(sandbox))) == 2


def test_what_a_rule_that_counts_once_since_has_skipped_is_sent_after_the_undo(
    company, connected, make_rule, sandbox
):
    rule = make_rule("lead_qualified", frequency="every_time")
    kept, gone = two_leads(company, "pending", "sent")
    hold(company)
    merge = merge_leads(kept=kept, gone=gone)
    set_frequency(rule, "once")
    assert ConversionEvent.objects.filter(state="skipped").count() == 1

    undo_merge(merge=merge)
    go_on(company)

    assert len(sent_ids(sandbox)) == 2


def test_both_have_their_keys_after_the_undo_if_the_rule_counts_once_since(
    company, connected, make_rule, sandbox
):
    rule = make_rule("lead_qualified", frequency="every_time")
    kept, gone = two_leads(company, "sent", "sent")
    merge = merge_leads(kept=kept, gone=gone)
    set_frequency(rule, "once")

    undo_merge(merge=merge)
    for lead in (kept, gone):
        qualify_again(lead)
    everything_is_sent(company)

    assert len(sent_ids(sandbox)) == 2


def test_what_could_not_move_up_because_of_the_other_lead_does_so_after_the_undo(
    company, connected, make_rule, sandbox
):
    make_rule("lead_qualified", frequency="once")
    kept, gone = two_leads(company, "pending", "sent")
    hold(company)
    qualify_again(kept)
    first, second = events_of(kept).order_by("pk")
    merge = merge_leads(kept=kept, gone=gone)
    expire(ConversionEvent.objects.filter(pk=first.pk))
    go_on(company)
    assert second.event_id not in sent_ids(sandbox)

    undo_merge(merge=merge)
    everything_is_sent(company)

    assert second.event_id in sent_ids(sandbox)


def test_what_was_cancelled_since_by_its_backfill_is_not_made_by_the_undo(
    company, connected, make_rule, sandbox
):
    rule = make_rule("lead_qualified", frequency="once")
    kept, gone = two_leads(company, "sent", "waiting")
    backfill = Backfill.objects.create(
        company=company, rule=rule, since=gone.created_at, until=timezone.now()
    )
    events_of(gone).update(backfill=backfill)
    merge = merge_leads(kept=kept, gone=gone)
    cancel_backfill(backfill)

    undo_merge(merge=merge)
    Lead.objects.filter(pk=gone.pk).update(email="gone@example.org")
    everything_is_sent(company)

    assert len(sent_ids(sandbox)) == 1


@pytest.mark.django_db(transaction=True)
def test_no_merge_is_undone_after_the_company_was_closed(
    company, connected, make_rule, sandbox
):
    make_rule("lead_qualified", frequency="once")
    kept, gone = two_leads(company, "sent", "waiting")
    merge = merge_leads(kept=kept, gone=gone)
    deactivate_company(company=company)
    reactivate_company(company=company)

    with pytest.raises(MergeRefused, match="nothing to undo"):
        undo_merge(merge=merge)

    assert not LeadMerge.objects.exists()


def test_an_event_that_is_skipped_since_for_its_own_lead_stays_so(
    company, connected, make_rule, sandbox
):
    make_rule("lead_qualified", frequency="once")
    kept, gone = two_leads(company, "sent", "nothing")
    merge = merge_leads(kept=kept, gone=gone)
    qualify_again(kept)

    undo_merge(merge=merge)
    qualify(gone)
    send_all(company)

    assert len(set(hashes(sandbox))) == len(sent_ids(sandbox)) == 2


# What was skipped for an opt-out of the other lead


@pytest.mark.parametrize("frequency", ["once", "every_time", "per_person"])
def test_what_happens_while_the_other_leads_opt_out_holds_is_sent_after_the_undo(
    company, connected, make_rule, sandbox, frequency
):
    make_rule("lead_qualified", frequency=frequency)
    kept, gone = (
        make_lead(company),
        make_lead(company, email="gone@example.org", share_with_ad_platforms=False),
    )
    merge = merge_leads(kept=kept, gone=gone)
    qualify(kept)
    assert events_of(kept).get().reason == Reason.OPTED_OUT

    undo_merge(merge=merge)
    everything_is_sent(company)

    assert sent_ids(sandbox) == [events_of(kept).get().event_id]


def test_what_happens_to_the_others_deal_while_an_opt_out_holds_is_sent_after_the_undo(
    company, connected, make_rule, sandbox
):
    make_rule("deal_won", frequency="once")
    kept, gone = (
        make_lead(company, share_with_ad_platforms=False),
        make_lead(company, email="gone@example.org"),
    )
    deal = make_deal(gone)
    merge = merge_leads(kept=kept, gone=gone)
    move_deal(
        deal=Deal.objects.get(pk=deal.pk),
        stage=Stage.objects.get(company=company, meaning="won"),
    )

    undo_merge(merge=merge)
    everything_is_sent(company)

    assert sent_ids(sandbox) == [events_of(gone).get().event_id]


def test_of_two_that_were_skipped_for_an_opt_out_the_second_is_a_duplicate_after_the_undo(
    company, connected, make_rule, sandbox
):
    make_rule("lead_qualified", frequency="once")
    kept, gone = (
        make_lead(company),
        make_lead(company, email="gone@example.org", share_with_ad_platforms=False),
    )
    merge = merge_leads(kept=kept, gone=gone)
    qualify(kept)
    qualify_again(kept)

    undo_merge(merge=merge)
    everything_is_sent(company)

    assert list(events_of(kept).order_by("pk").values_list("state", "reason")) == [
        ("accepted", ""), ("skipped", Reason.ALREADY_COUNTED),
    ]  # fmt: skip


def test_an_opt_out_of_three_that_were_one_holds_for_each_of_them(
    company, connected, make_rule, sandbox
):
    make_rule()
    hold(company)
    first = make_lead(company, email="first@example.org", share_with_ad_platforms=False)
    second, kept = make_lead(company, email="second@example.org"), make_lead(company)
    earlier = merge_leads(kept=second, gone=first)
    later = merge_leads(kept=kept, gone=second)
    for shares in (True, False):
        Lead.objects.filter(pk=kept.pk).update(share_with_ad_platforms=shares)

    for merge in (later, earlier):
        undo_merge(merge=LeadMerge.objects.get(pk=merge.pk))
    go_on(company)

    assert not Lead.objects.filter(share_with_ad_platforms=True).exists()
    assert sent_ids(sandbox) == []


def test_what_was_skipped_before_somebody_opted_the_person_in_stays_so(
    company, connected, make_rule, sandbox
):
    make_rule("lead_qualified")
    kept, gone = (
        make_lead(company),
        make_lead(company, email="gone@example.org", share_with_ad_platforms=False),
    )
    merge = merge_leads(kept=kept, gone=gone)
    qualify(kept)
    Lead.objects.filter(pk=kept.pk).update(share_with_ad_platforms=True)

    undo_merge(merge=merge)
    everything_is_sent(company)

    assert sent_ids(sandbox) == []


@pytest.mark.parametrize("now", ["once", "every_time", "per_person"])
@pytest.mark.parametrize("frequency", ["once", "every_time"])
def test_what_a_merge_had_ended_moves_up_whatever_the_rule_counts_since(
    company, connected, make_rule, sandbox, frequency, now
):
    rule = make_rule("lead_qualified", frequency=frequency)
    kept, gone = two_leads(company, "pending", "waiting")
    hold(company)
    merge_leads(kept=kept, gone=gone)
    rule.refresh_from_db()
    set_frequency(rule, now)

    expire(ConversionEvent.objects.exclude(reason=Reason.MERGED))
    go_on(company)

    assert len(sent_ids(sandbox)) == 1


# Places of one lead that events of the other hold


def reject(events):
    events.update(
        state="rejected",
        reason=Reason.DATA_REFUSED,
        next_attempt_at=None,
        once_key=None,
        settled_at=Now(),
    )


def retry(company):
    pks = list(ConversionEvent.objects.order_by("pk").values_list("pk", flat=True))
    return services.retry_events(company=company, pks=pks).events


def test_a_retry_does_not_give_an_event_of_the_one_lead_the_place_of_the_other(
    company, connected, make_rule, sandbox
):
    make_rule("lead_qualified", frequency="once")
    kept, gone = two_leads(company, "nothing", "pending")
    rejected = ConversionEvent.objects.filter(pk=events_of(gone).get().pk)
    reject(rejected)
    qualify_again(gone)
    everything_is_sent(company)
    assert len(sent_ids(sandbox)) == 1
    qualify(kept)
    own = ConversionEvent.objects.filter(pk=events_of(kept).get().pk)

    merge = merge_leads(kept=kept, gone=gone)
    reject(own)
    Lead.objects.filter(pk=kept.pk).update(organisation="Granite", updated_at=Now())
    assert retry(company) == 0
    undo_merge(merge=merge)
    Lead.objects.filter(pk=kept.pk).update(organisation="Granit", updated_at=Now())
    retry(company)
    everything_is_sent(company)

    assert len(set(hashes(sandbox))) == len(sent_ids(sandbox)) == 2
    assert rejected.get().state == "rejected"


@pytest.mark.parametrize("state", ["pending", "accepted"])
def test_an_event_with_the_place_of_the_other_lead_gives_it_up_after_the_undo(
    company, connected, make_rule, sandbox, state
):
    make_rule("lead_qualified", frequency="once")
    kept, gone = two_leads(company, "nothing", "sent")
    qualify_again(gone)
    older, newer = events_of(gone).order_by("pk")
    merge = merge_leads(kept=kept, gone=gone)
    # As after a backfill that found that nobody has the kept lead's key.
    events_of(kept).filter(pk=older.pk).update(once_key=gone.pk)
    waits = {"next_attempt_at": Now(), "settled_at": None} if state == "pending" else {}
    events_of(kept).filter(pk=newer.pk).update(
        state=state, reason="", once_key=kept.pk, **waits
    )

    undo_merge(merge=merge)
    qualify(kept)
    everything_is_sent(company)

    assert events_of(gone).get(pk=newer.pk).once_key is None
    assert events_of(gone).get(pk=newer.pk).state == (
        "skipped" if state == "pending" else "accepted"
    )
    assert events_of(kept).get().event_id in sent_ids(sandbox)
    assert len(sent_ids(sandbox)) == 2


# What may have arrived


@pytest.mark.parametrize("frequency", ["once", "every_time"])
@pytest.mark.parametrize("arrived", [(), ("kept",), ("gone",), ("kept", "gone")])
def test_of_two_that_wait_one_is_sent_and_that_which_may_have_arrived(
    company, connected, make_rule, sandbox, frequency, arrived
):
    make_rule("lead_qualified", frequency=frequency)
    kept, gone = two_leads(company, "waiting", "waiting")
    events = {"kept": events_of(kept).get(), "gone": events_of(gone).get()}
    ConversionEvent.objects.filter(pk__in=[events[each].pk for each in arrived]).update(
        may_have_arrived=True
    )

    merge_leads(kept=kept, gone=gone)
    Lead.objects.filter(pk=kept.pk).update(email="kept@example.org")
    everything_is_sent(company)

    assert sent_ids(sandbox) == [
        events["gone" if arrived == ("gone",) else "kept"].event_id
    ]


# Rules that count in another way by then


def test_a_repeat_under_a_rule_that_counts_people_since_stays_one(
    company, connected, make_rule, sandbox
):
    rule = make_rule("lead_qualified", frequency="once")
    kept, gone = two_leads(company, "sent", "nothing")
    merge = merge_leads(kept=kept, gone=gone)
    qualify_again(kept)
    set_frequency(rule, "per_person")

    undo_merge(merge=merge)
    everything_is_sent(company)

    assert len(sent_ids(sandbox)) == 1


# While a worker delivers


@pytest.mark.django_db(transaction=True)
def test_an_event_that_ends_beside_an_undo_does_not_wait_for_an_address_again(
    company, connected, make_rule
):
    make_rule("lead_qualified")
    kept, gone = two_leads(company, "pending", "nothing")
    merge = merge_leads(kept=kept, gone=gone)
    hold(company)
    Lead.objects.filter(pk=kept.pk).update_without_events(email="")

    def undo() -> None:
        undo_merge(merge=merge)
        connection.close()

    undoing = threading.Thread(target=undo)
    with transaction.atomic():
        ConversionEvent.objects.update(
            state="expired",
            reason=Reason.TOO_OLD,
            next_attempt_at=None,
            settled_at=Now(),
        )
        undoing.start()
        wait_for(
            somebody_waits,
            seconds=30,
            told="The undo did not come to wait for the event.",
        )
    undoing.join()

    assert ConversionEvent.objects.get().state == "expired"


@pytest.mark.django_db(transaction=True)
def test_a_merge_that_a_deactivation_has_waited_for_can_not_be_undone_after_it(
    company, connected
):
    kept, gone = make_lead(company), make_lead(company, email="gone@example.org")

    def merge(**kwargs):
        merge_leads(kept=kept, gone=gone)

    company_closed.connect(merge)
    try:
        deactivate_company(company=company)
    finally:
        company_closed.disconnect(merge)

    assert not LeadMerge.objects.exists()
