"""An event is skipped for one that ends before the skipped one is committed, so that neither sees the other."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from unittest.mock import Mock

import pytest
from django.db import connection as database
from django.db import transaction
from django.db.models.functions import Now

from capi import services
from capi.delivery import cancellation, deduplication, duplicates, planning, sweep
from capi.delivery.retries import retry
from capi.linkedin.sandbox.faults import Fault
from capi.models import Connection, ConversionEvent, ConversionRule
from crm.models import Company, Deal, Lead, LeadStatus, Stage
from crm.services.editing import move_deal
from crm.services.lead_merges import merge_leads
from crm.services.merge_undo import undo_merge
from tests.capi.conftest import received, send_all, states
from tests.capi.delivery.test_duplicates import (
    cancel,
    during_the_request,
    expire,
    pick,
    qualify_again,
    send_all_in_the_end,
)
from tests.conftest import TOKEN, make_deal, make_lead

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 10


@pytest.fixture
def lead(company, connected, make_rule):
    make_rule("lead_qualified", frequency="once")
    lead = make_lead(company)
    pick(lead, "qualified")
    return lead


@contextmanager
def without_a_commit(work: Callable[[], None]) -> Iterator[None]:
    """The work is done in a transaction that is committed at the end of the block."""
    done, may_commit = threading.Event(), threading.Event()

    def do() -> None:
        with transaction.atomic():
            work()
            done.set()
            may_commit.wait(SECONDS)
        database.close()

    thread = threading.Thread(target=do)
    thread.start()
    assert done.wait(SECONDS)
    yield
    may_commit.set()
    thread.join(SECONDS)
    assert not thread.is_alive()


def qualified_again_without_a_commit(lead) -> AbstractContextManager[None]:
    return without_a_commit(lambda: qualify_again(lead))


@pytest.fixture
def reject(company, sandbox) -> Callable[[object], None]:
    def reject(lead: object) -> None:
        sandbox.faults.add(Fault(status=422, body='{"message":"odd","status":422}'))
        send_all(company)

    return reject


def needs_recheck() -> bool:
    return ConversionEvent.objects.filter(needs_recheck=True).exists()


def expire_unseen(lead) -> None:
    """As `expire`, for the events that are committed."""
    expire(lead)
    assert states(lead.company) == ["expired"]


def test_it_is_sent_if_the_first_one_expires(company, lead, sandbox) -> None:
    with qualified_again_without_a_commit(lead):
        expire_unseen(lead)
    send_all_in_the_end(company)

    assert states(company) == ["expired", "accepted"]
    assert not needs_recheck()


def test_it_is_sent_if_the_first_one_is_rejected(
    company, lead, sandbox, reject
) -> None:
    with qualified_again_without_a_commit(lead):
        reject(lead)
    send_all_in_the_end(company)

    assert states(company) == ["rejected", "accepted"]


def test_it_stays_skipped_if_a_person_cancels_the_first_one(
    company, lead, sandbox
) -> None:
    with qualified_again_without_a_commit(lead):
        cancel(lead)
    send_all_in_the_end(company)

    assert states(company) == ["cancelled", "skipped"]
    assert not needs_recheck()


def test_it_stays_skipped_if_the_first_one_is_sent(company, lead, sandbox) -> None:
    with qualified_again_without_a_commit(lead):
        send_all(company)
    send_all_in_the_end(company)

    assert states(company) == ["accepted", "skipped"]
    assert not needs_recheck()


@pytest.mark.parametrize("way", ["killed", "failed"])
def test_the_sweep_rechecks_what_a_process_left_when_it_died_after_its_commit(
    company, lead, sandbox, monkeypatch, way
) -> None:
    with monkeypatch.context() as patched:
        if way == "killed":
            patched.setattr(planning, "recheck", lambda pks: None)
        else:
            patched.setattr(
                deduplication, "about_the_same", Mock(side_effect=RuntimeError)
            )
        with qualified_again_without_a_commit(lead):
            expire_unseen(lead)
    assert states(company) == ["expired", "skipped"]
    assert needs_recheck()

    sweep.tidy()
    send_all_in_the_end(company)

    assert states(company) == ["expired", "accepted"]
    assert not needs_recheck()


def test_the_recheck_waits_for_nobody_who_is_ending_the_first_one(
    company, lead, sandbox
) -> None:
    with ExitStack() as ending:
        with qualified_again_without_a_commit(lead):
            ending.enter_context(without_a_commit(lambda: expire(lead)))
        assert needs_recheck()
    assert states(company) == ["expired", "skipped"]

    sweep.tidy()
    send_all_in_the_end(company)

    assert states(company) == ["expired", "accepted"]
    assert not needs_recheck()


def test_the_recheck_waits_for_nobody_who_has_locked_the_lane(
    company, lead, sandbox
) -> None:
    with transaction.atomic():
        Connection.objects.select_for_update().get()
        with qualified_again_in_one_step(lead):
            pass
        assert needs_recheck()

    sweep.tidy()

    assert not needs_recheck()


def qualified_again_in_one_step(lead: Lead) -> AbstractContextManager[None]:
    """Without an action, so that nothing is taken back, which waits for the lane."""
    return without_a_commit(
        lambda: [set_all(lead.company, meaning) for meaning in ("new", "qualified")]
    )


def test_a_company_whose_lane_is_locked_keeps_no_other_waiting(
    company, lead, sandbox
) -> None:
    other = Company.objects.create(name="Elsewhere", slug="elsewhere", grace_seconds=0)
    services.save_token(company=other, token=TOKEN)
    ConversionRule.objects.create(
        company=other,
        crm_event="lead_qualified",
        linkedin_id="104012",
        frequency="once",
    )
    hers = make_lead(other, email="grace@example.com")
    for each in (lead, hers, hers):
        qualify_again(each)
    assert states(other) == ["pending", "skipped"]
    ConversionEvent.objects.filter(state="skipped").update(needs_recheck=True)

    with without_a_commit(
        lambda: Connection.objects.select_for_update().get(company=other)
    ):
        sweep.tidy()

    assert list(
        ConversionEvent.objects.filter(needs_recheck=True).values_list(
            "company", flat=True
        )
    ) == [other.pk]


def test_it_is_sent_if_the_first_one_was_given_up_and_is_rejected_after_a_retry(
    company, lead, sandbox, reject
) -> None:
    ConversionEvent.objects.update(
        state="exhausted",
        reason="server_trouble",
        next_attempt_at=None,
        settled_at=Now(),
    )
    with qualified_again_without_a_commit(lead):
        retry(company_id=company.pk, pks=[ConversionEvent.objects.get().pk])
        reject(lead)
    send_all_in_the_end(company)

    assert states(company) == ["rejected", "accepted"]


@pytest.fixture
def two_won(company, connected, make_rule) -> list[Deal]:
    make_rule("deal_won", frequency="once")
    lead = make_lead(company)
    deals = [make_deal(lead), make_deal(lead)]
    for deal in deals:
        move(deal, "won")
    return deals


def move(deal: Deal, meaning: str) -> None:
    stage = Stage.objects.filter(company=deal.company, meaning=meaning).first()
    move_deal(deal=Deal.objects.get(pk=deal.pk), stage=stage)


def win_again(deal: Deal) -> None:
    move(deal, "open")
    move(deal, "won")


def end_both(deals: list[Deal]) -> None:
    """A person cancels the first deal's event, and the second one's expires."""
    cancelled = ConversionEvent.objects.filter(deal=deals[0])
    cancellation.cancel(
        company_id=deals[0].company_id, pks=list(cancelled.values_list("pk", flat=True))
    )
    ConversionEvent.objects.filter(deal=deals[1]).update(
        happened_at=Now() - timedelta(days=91)
    )
    sweep.tidy()


def test_it_is_sent_although_a_person_cancels_that_of_another_deal(
    company, two_won, sandbox
) -> None:
    with without_a_commit(lambda: win_again(two_won[1])):
        end_both(two_won)
    send_all_in_the_end(company)

    assert states(company) == ["cancelled", "expired", "accepted"]


def test_it_stays_skipped_if_a_person_cancels_the_first_one_and_another_deal_s_expires(
    company, two_won
) -> None:
    win_again(two_won[0])
    end_both(two_won)

    assert states(company) == ["cancelled", "expired", "skipped"]


def test_it_is_sent_after_a_merge_that_came_before_the_recheck_is_undone(
    company, lead, sandbox, monkeypatch
) -> None:
    send_all(company)
    other = make_lead(company, email="grace@example.com")
    pick(other, "qualified")
    with monkeypatch.context() as patched:
        patched.setattr(planning, "recheck", lambda pks: None)
        with qualified_again_without_a_commit(other):
            ConversionEvent.objects.filter(lead=other).update(
                happened_at=Now() - timedelta(days=91)
            )
            sweep.tidy()

    undo_merge(
        merge=merge_leads(
            kept=Lead.objects.get(pk=lead.pk), gone=Lead.objects.get(pk=other.pk)
        )
    )
    send_all_in_the_end(company)

    assert states(company) == ["accepted", "expired", "accepted"]


def test_what_others_keep_from_moving_up_moves_up_at_the_next_sweep(
    company, lead, sandbox, monkeypatch
) -> None:
    leads = [
        lead,
        *(
            make_lead(company, email=f"{at}@example.com")
            for at in range(duplicates.TRIES)
        ),
    ]
    for each in leads[1:]:
        pick(each, "qualified")
    due_again, left = duplicates.due_again, leads[1:]

    def qualify_one_again():
        if left:
            qualify_at_once(left.pop())
        return due_again()

    monkeypatch.setattr(duplicates, "due_again", qualify_one_again)
    with without_a_commit(
        lambda: [set_all(company, meaning) for meaning in ("new", "qualified")]
    ):
        ConversionEvent.objects.update(happened_at=Now() - timedelta(days=91))
        sweep.tidy()
    assert needs_recheck()

    sweep.tidy()
    send_all_in_the_end(company)

    assert ConversionEvent.objects.filter(state="accepted").count() == len(leads)
    assert not needs_recheck()


def qualify_at_once(lead: Lead) -> None:
    with qualified_again_without_a_commit(lead):
        pass


def set_all(company: Company, meaning: str) -> None:
    Lead.objects.filter(company=company).update(
        status=LeadStatus.objects.get(company=company, meaning=meaning)
    )


def test_what_linkedin_has_gets_its_keys_back_however_often_others_take_one(
    company, lead, sandbox, monkeypatch
) -> None:
    """All ended in their request. Some are made again, in transactions that end one after the other."""
    leads = [
        lead,
        *(
            make_lead(company, email=f"{at}@example.com")
            for at in range(duplicates.TRIES + 1)
        ),
    ]
    for each in leads[1:]:
        pick(each, "qualified")
    reclaim, retaken = duplicates.reclaim, ExitStack()

    def end_all_and_make_some_again() -> None:
        for shares in (False, True):
            Lead.objects.filter(company=company).update(share_with_ad_platforms=shares)
        for each in reversed(leads[1:-1]):  # so that the first ends first
            retaken.enter_context(ended_later(each))

    def reclaim_meanwhile(pks) -> None:
        ending = threading.Thread(target=retaken.close)
        ending.start()
        reclaim(pks)
        ending.join(SECONDS)

    during_the_request(monkeypatch, end_all_and_make_some_again)
    monkeypatch.setattr(duplicates, "reclaim", reclaim_meanwhile)
    send_all(company)
    send_all_in_the_end(company)

    assert len(received(sandbox)) == len(leads)


@contextmanager
def ended_later(lead: Lead) -> Iterator[None]:
    """As `qualified_again_without_a_commit`, which is committed after others have had time to wait for it."""
    with qualified_again_without_a_commit(lead):
        yield
        time.sleep(0.2)
