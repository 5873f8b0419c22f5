"""A worker that dies in the middle of a request: what LinkedIn may have is neither counted twice nor lost."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from capi import services
from capi.delivery import cancellation, http_session, lane, sweep
from capi.models import Connection, ConversionEvent
from capi.selectors.explanations.explain import explain
from crm.models import Lead
from crm.services.erasure import erase_lead
from crm.services.lead_merges import merge_leads
from crm.services.undo import undo
from tests.capi.conftest import received, send_all, states, wait_is_over
from tests.capi.delivery.test_duplicates import pick, qualify_again
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db(transaction=True)

ARRIVES = pytest.mark.parametrize("arrives", [True, False])


class Killed(BaseException):
    """The process is gone. Nothing may catch it."""


@pytest.fixture
def rule(connected, make_rule):
    return make_rule("lead_qualified", frequency="once")


@pytest.fixture
def lead(company, rule):
    return make_lead(company)


@pytest.fixture
def kill_in_mid_request(company, sandbox, monkeypatch) -> Callable[[bool], None]:
    """Send, and die as by kill -9, after or before the request has reached LinkedIn."""

    def kill(arrives: bool) -> None:
        send = http_session.send

        def send_and_die(**request: Any) -> None:
            if arrives:
                send(**request)
            raise Killed

        with monkeypatch.context() as patched, pytest.raises(Killed):
            patched.setattr(http_session, "send", send_and_die)
            patched.setattr(lane, "release", lambda lease: None)
            send_all(company)
        http_session.close()

    return kill


def let_the_lease_lapse() -> None:
    Connection.objects.update(leased_until=Now() - timedelta(seconds=1))


def hold(company) -> None:
    """Pause, and let another worker take the lane over."""
    let_the_lease_lapse()
    Connection.objects.update(is_paused=True)
    send_all(company)


def resume(company) -> None:
    let_the_lease_lapse()
    services.resume_connection(company=company)
    wait_is_over()
    send_all(company)


def ids(sandbox) -> list[str]:
    """The event ids that LinkedIn accepted, each once."""
    return sorted({element["eventId"] for element in received(sandbox)})


# --- what is undone ---


@ARRIVES
@pytest.mark.parametrize(
    "when", ["before the lane is taken over", "while it is on hold"]
)
def test_what_is_undone_is_told_and_keeps_its_place(
    company, lead, sandbox, kill_in_mid_request, arrives, when
) -> None:
    action = pick(lead, "qualified")
    kill_in_mid_request(arrives)
    if when == "while it is on hold":
        hold(company)

    told = undo(company=company, action=action).told
    resume(company)
    pick(lead, "qualified")
    resume(company)

    first = ConversionEvent.objects.earliest("pk")
    assert len(told) == 1
    assert "LinkedIn may have this event" in explain(first, None).what
    assert (states(company), len(ids(sandbox))) == (["cancelled", "accepted"], 1)


def test_what_was_not_in_the_request_is_as_free_as_ever(
    company, lead, sandbox, settings, kill_in_mid_request
) -> None:
    settings.BATCH_SIZE = 1
    behind = make_lead(company, email="bob@example.com")
    pick(lead, "qualified")
    action = pick(behind, "qualified")
    kill_in_mid_request(True)
    hold(company)

    told = undo(company=company, action=action).told
    pick(behind, "qualified")
    resume(company)

    assert told == []
    assert (states(company), len(ids(sandbox))) == (
        ["accepted", "cancelled", "accepted"],
        2,
    )


def test_only_the_events_of_the_request_count_as_doubtful(
    company, lead, sandbox, settings, kill_in_mid_request
) -> None:
    settings.BATCH_SIZE = 2
    for number in range(4):
        pick(make_lead(company, email=f"lead{number}@example.com"), "qualified")
    kill_in_mid_request(False)

    hold(company)

    assert list(ConversionEvent.objects.order_by("pk").values_list("may_have_arrived", flat=True)) == [
        True, True, False, False
    ]  # fmt: skip
    resume(company)
    assert states(company) == ["accepted"] * 4


@ARRIVES
def test_it_comes_first_if_the_rule_begins_to_count_once(
    company, lead, rule, sandbox, settings, kill_in_mid_request, arrives
) -> None:
    settings.BATCH_SIZE = 1
    rule.frequency = "every_time"
    services.save_rule(rule=rule)
    pick(lead, "qualified")
    qualify_again(lead)
    older, younger = ConversionEvent.objects.order_by("pk")
    ConversionEvent.objects.filter(pk=older.pk).update(
        next_attempt_at=Now() + timedelta(minutes=1)
    )
    kill_in_mid_request(arrives)

    rule.frequency = "once"
    services.save_rule(rule=rule)
    resume(company)

    assert (states(company), ids(sandbox)) == (
        ["skipped", "accepted"],
        [younger.event_id],
    )


def test_a_note_that_nobody_can_read_stops_neither_the_lane_nor_a_change(
    company, lead, sandbox, kill_in_mid_request
) -> None:
    pick(lead, "qualified")
    kill_in_mid_request(True)
    Connection.objects.update(request_events=b"of a later version")

    undo(
        company=company,
        action=pick(make_lead(company, email="bob@example.com"), "qualified"),
    )
    resume(company)

    assert states(company) == ["accepted", "cancelled"]


# --- other ends ---


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


def switch_the_rule_off_and_on(lead: Lead) -> None:
    rule = ConversionEvent.objects.get().rule
    for active in (False, True):
        services.set_rule_active(rule=rule, active=active)
        send_all(lead.company)


@ARRIVES
@pytest.mark.parametrize(
    "when", ["before the lane is taken over", "while it is on hold"]
)
@pytest.mark.parametrize(
    "end", [cancel, opt_out_and_in, expire, switch_the_rule_off_and_on]
)
def test_however_it_ends_it_is_counted_once(
    company, lead, sandbox, kill_in_mid_request, monkeypatch, arrives, when, end
) -> None:
    pick(lead, "qualified")
    kill_in_mid_request(arrives)
    if when == "while it is on hold":
        hold(company)

    # An hour may have passed.
    monkeypatch.setattr("capi.delivery.recall.wait_for", lambda requests: None)
    end(lead)
    qualify_again(lead)
    resume(company)

    assert len(ids(sandbox)) <= 1
    assert ConversionEvent.objects.filter(once_key=lead.pk).count() == 1


def test_after_a_merge_it_is_counted_once(
    company, lead, sandbox, kill_in_mid_request
) -> None:
    other = make_lead(company, email="bob@example.com")
    pick(lead, "qualified")
    kill_in_mid_request(True)
    hold(company)

    merge_leads(kept=other, gone=lead)
    cancel(other)
    other.refresh_from_db()
    qualify_again(other)
    resume(company)

    assert len(ids(sandbox)) == 1


def test_who_is_erased_is_in_no_later_request(
    company, lead, sandbox, kill_in_mid_request, monkeypatch
) -> None:
    pick(lead, "qualified")
    kill_in_mid_request(True)
    hold(company)

    erase_lead(lead=lead)
    resume(company)

    assert (states(company), len(received(sandbox))) == (["cancelled"], 1)


def test_a_lane_that_has_nothing_to_send_is_taken_over_all_the_same(
    company, lead, sandbox, kill_in_mid_request
) -> None:
    pick(lead, "qualified")
    kill_in_mid_request(True)
    let_the_lease_lapse()
    services.remove_token(company=company)

    assert sweep.due_companies() == [company.pk]
    send_all(company)

    assert ConversionEvent.objects.get().may_have_arrived
    assert sweep.due_companies() == []
