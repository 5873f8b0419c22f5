"""Merging two leads, or undoing that, never creates, loses or doubles a conversion."""

from itertools import product

import pytest
from django.db.models.functions import Now

from capi.delivery import http_session
from capi.delivery.duplicates import pass_on
from capi.linkedin.identity import email_sha256
from capi.models import Connection, ConversionEvent
from capi.models.choices import Reason
from capi.models.lookups import IdList
from crm.models import CrmEvent, Lead, LeadStatus, Stage
from crm.services.editing import change_status
from crm.services.erasure import erase_lead
from crm.services.lead_merges import merge_leads
from crm.services.merge_undo import undo_merge
from tests.capi.conftest import hashes, received, send_all, wait_is_over
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db

SITUATIONS = ("nothing", "pending", "sent", "waiting")


def qualify(lead, meaning="qualified"):
    status = LeadStatus.objects.get(company=lead.company, meaning=meaning)
    change_status(leads=Lead.objects.filter(pk=lead.pk), status=status)


def in_situation(company, situation, **fields):
    """A lead in this situation, except that `two_leads` adds pending and waiting events later."""
    lead = make_lead(
        company,
        **{**fields, "email": "" if situation == "waiting" else fields["email"]},
    )
    if situation == "sent":
        qualify(lead)
        send_all(company)
    return lead


def two_leads(company, first, second):
    """Two leads in these situations. Pending and waiting events are added last, after all sending."""
    leads = [
        in_situation(company, situation, first_name=name, email=f"{name}@example.com")
        for name, situation in (("ada", first), ("adah", second))
    ]
    for lead, situation in zip(leads, (first, second), strict=True):
        if situation in ("pending", "waiting"):
            qualify(lead)
    return leads


def sent_ids(sandbox):
    return sorted(element["eventId"] for element in received(sandbox))


def everything_is_sent(company):
    for _ in range(2):
        wait_is_over()
        send_all(company)


OF_PEOPLE = [
    ("per_person", "pending", "pending"),
    ("per_person", "sent", "pending"),
    ("per_person", "pending", "sent"),
]
CASES = [
    *(("once", *pair) for pair in product(SITUATIONS, SITUATIONS)),
    ("every_time", "sent", "waiting"),
    ("every_time", "waiting", "pending"),
    ("every_time", "waiting", "waiting"),
    ("every_time", "pending", "pending"),
]


@pytest.mark.parametrize(("frequency", "first", "second"), CASES)
def test_what_was_on_its_way_is_sent_and_what_waits_adds_nothing_that_was_reported(
    company, connected, make_rule, sandbox, frequency, first, second
):
    make_rule("lead_qualified", frequency=frequency)
    kept, gone = two_leads(company, first, second)
    count = ConversionEvent.objects.count()
    on_its_way = list(
        ConversionEvent.objects.filter(state__in=["pending", "accepted"]).values_list(
            "event_id", flat=True
        )
    )
    waiting = list(
        ConversionEvent.objects.filter(state="waiting").values_list(
            "event_id", flat=True
        )
    )

    merge_leads(kept=kept, gone=gone, taken=["email"] if first == "waiting" else [])
    everything_is_sent(company)

    assert ConversionEvent.objects.count() == count
    only_waits = {first, second} == {"nothing", "waiting"}
    assert sent_ids(sandbox) == (waiting if only_waits else sorted(on_its_way))


@pytest.mark.parametrize(("frequency", "first", "second"), OF_PEOPLE)
def test_a_person_with_two_addresses_counts_under_the_one_that_was_chosen(
    company, connected, make_rule, sandbox, frequency, first, second
):
    make_rule("lead_qualified", frequency=frequency)
    kept, gone = two_leads(company, first, second)

    merge_leads(kept=kept, gone=gone)
    everything_is_sent(company)

    sent_before = [
        f"{name}@example.com"
        for name, each in (("ada", first), ("adah", second))
        if each == "sent"
    ]
    assert set(hashes(sandbox)) == {
        email_sha256(address) for address in {*sent_before, "ada@example.com"}
    }
    assert len(hashes(sandbox)) == len(set(hashes(sandbox)))


@pytest.mark.thorough
@pytest.mark.parametrize(("frequency", "first", "second"), [*CASES, *OF_PEOPLE])
def test_after_an_undo_all_is_as_it_would_have_been(
    company, connected, make_rule, sandbox, frequency, first, second
):
    make_rule("lead_qualified", frequency=frequency)
    kept, gone = two_leads(company, first, second)
    columns = ("event_id", "lead", "once_key", "state")
    before = list(ConversionEvent.objects.order_by("pk").values_list(*columns))

    undo_merge(merge=merge_leads(kept=kept, gone=gone, taken=["email"]))
    everything_is_sent(company)

    after = ConversionEvent.objects.order_by("pk").values_list(*columns)
    assert list(after) == [
        (*row[:3], "accepted" if row[3] == "pending" else row[3]) for row in before
    ]


def test_a_status_that_is_taken_reports_nothing_then_or_later(
    company, connected, make_rule, sandbox
):
    make_rule("lead_qualified", frequency="once")
    kept, gone = two_leads(company, "nothing", "sent")

    merge_leads(kept=kept, gone=gone, taken=["status"])
    kept.refresh_from_db()
    assert kept.status.meaning == "qualified"
    assert CrmEvent.objects.filter(kind="lead_qualified").count() == 1
    qualify(kept, "new")
    qualify(kept)
    everything_is_sent(company)

    assert len(sent_ids(sandbox)) == 1
    assert ConversionEvent.objects.latest("pk").reason == Reason.ALREADY_COUNTED


def test_a_status_that_is_left_stops_nothing_in_its_grace_period(
    company, connected, make_rule, sandbox
):
    make_rule("lead_qualified")
    kept, gone = two_leads(company, "pending", "nothing")
    CrmEvent.objects.update(release_at=Now())

    merge_leads(kept=kept, gone=gone, taken=["status"])
    everything_is_sent(company)

    assert len(sent_ids(sandbox)) == 1


def test_what_was_skipped_for_the_merged_lead_is_sent_once_that_is_another_one_again(
    company, connected, make_rule, sandbox
):
    make_rule("lead_qualified", frequency="once")
    kept, gone = two_leads(company, "nothing", "sent")
    merge = merge_leads(kept=kept, gone=gone)
    qualify(kept)
    everything_is_sent(company)
    assert len(sent_ids(sandbox)) == 1

    undo_merge(merge=merge)
    everything_is_sent(company)

    assert len(sent_ids(sandbox)) == 2


def test_a_skipped_repeat_of_one_lead_does_not_move_up_while_the_other_has_its_place(
    company, connected, make_rule, sandbox
):
    make_rule("lead_qualified", frequency="once")
    kept, gone = two_leads(company, "pending", "sent")
    for lead in (kept, gone):
        qualify(lead, "new")
        qualify(lead)  # skipped: the rule has counted it
    merge_leads(kept=kept, gone=gone)

    pending = ConversionEvent.objects.get(state="pending")
    ConversionEvent.objects.filter(pk=pending.pk).update(
        state="cancelled", next_attempt_at=None, once_key=None
    )
    pass_on(IdList([pending.pk]))

    assert not ConversionEvent.objects.filter(state="pending").exists()


def test_a_deal_that_waited_for_an_address_is_reported(
    company, connected, make_rule, sandbox
):
    make_rule("deal_won", frequency="once")
    kept, gone = make_lead(company), make_lead(company, email="")
    make_deal(gone, stage=Stage.objects.get(company=company, meaning="won"))
    assert ConversionEvent.objects.get().state == "waiting"

    merge_leads(kept=kept, gone=gone)
    everything_is_sent(company)

    assert len(sent_ids(sandbox)) == 1
    assert ConversionEvent.objects.get().lead == kept


def test_an_opt_out_of_either_lead_holds_for_both(
    company, connected, make_rule, sandbox
):
    make_rule()
    kept, gone = (
        make_lead(company),
        make_lead(company, share_with_ad_platforms=False, email="ada@example.org"),
    )

    merge_leads(kept=kept, gone=gone, taken=["email"])
    everything_is_sent(company)

    assert received(sandbox) == []
    assert not Lead.objects.get(pk=kept.pk).share_with_ad_platforms


def test_an_undo_opens_again_what_the_opt_out_of_the_other_had_ended(
    company, connected, make_rule, sandbox
):
    make_rule()
    kept, gone = (
        make_lead(company),
        make_lead(company, share_with_ad_platforms=False, email="ada@example.org"),
    )

    undo_merge(merge=merge_leads(kept=kept, gone=gone))
    everything_is_sent(company)

    assert len(received(sandbox)) == 1


def test_an_opt_out_since_the_merge_holds_for_both_after_its_undo(
    company, connected, make_rule, sandbox
):
    make_rule()
    kept, gone = make_lead(company), make_lead(company, email="ada@example.org")
    merge = merge_leads(kept=kept, gone=gone)
    Lead.objects.filter(pk=kept.pk).update(share_with_ad_platforms=False)

    undo_merge(merge=merge)
    everything_is_sent(company)

    assert received(sandbox) == []
    assert not Lead.objects.filter(share_with_ad_platforms=True).exists()


def test_an_answer_to_a_request_that_was_on_the_wire_is_written_to_its_event(
    company, connected, make_rule, sandbox, monkeypatch
):
    make_rule("lead_qualified", frequency="once")
    kept, gone = two_leads(company, "nothing", "pending")
    send, left = http_session.send, [lambda: merge_leads(kept=kept, gone=gone)]

    def send_meanwhile(**request):
        if left:
            left.pop()()
        return send(**request)

    monkeypatch.setattr(http_session, "send", send_meanwhile)
    everything_is_sent(company)

    event = ConversionEvent.objects.get()
    assert (event.state, event.lead, event.once_key) == ("accepted", kept, kept.pk)
    assert len(received(sandbox)) == 1


def test_what_is_on_hold_is_sent_when_it_would_have_been(
    company, connected, make_rule, sandbox
):
    make_rule()
    kept, gone = make_lead(company), make_lead(company, email="ada@example.org")
    Connection.objects.update(is_paused=True, paused_reason=Reason.TOKEN_REFUSED)

    merge_leads(kept=kept, gone=gone)
    everything_is_sent(company)
    assert received(sandbox) == []
    Connection.objects.update(is_paused=False, paused_reason="")
    everything_is_sent(company)

    assert len(set(sent_ids(sandbox))) == 2
    # Both under the address of the lead that was kept.
    assert len(set(hashes(sandbox))) == 1


@pytest.mark.django_db(transaction=True)
def test_erasing_the_kept_lead_cancels_what_came_with_the_other(
    company, connected, make_rule, sandbox
):
    make_rule()
    kept, gone = make_lead(company), make_lead(company, email="ada@example.org")
    merge_leads(kept=kept, gone=gone)

    erase_lead(lead=kept)
    everything_is_sent(company)

    assert received(sandbox) == []
    assert set(ConversionEvent.objects.values_list("state", "reason", "lead")) == {
        ("cancelled", "erased", None)
    }
