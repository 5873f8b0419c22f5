"""Recalls by changes that don't lock the lane: they hold as soon as the change is committed, whatever comes after."""

import threading
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from itertools import count
from typing import Any
from unittest.mock import Mock

import pytest
from django.db import OperationalError, transaction
from django.db import connection as database
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.functions import Now

from capi.delivery import cancellation, lane, persons, recall, selection
from capi.delivery.lane import LeaseLost
from capi.linkedin.identity import email_sha256
from capi.models import Connection, ConversionEvent, Recall
from crm.models import Lead
from crm.services.companies import deactivate_company
from crm.services.erasure import erase_lead
from tests.capi.conftest import hashes, received, send_all, states
from tests.capi.delivery.test_recheck import without_a_commit
from tests.capi.delivery.test_result_stands import somebody_waits
from tests.conftest import make_deal, make_lead
from tests.faults.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

SECONDS = 10


@pytest.fixture
def before_payment(monkeypatch) -> Callable[..., None]:
    """Run this after a batch was read, and before its request is paid for: the first one's, or another's."""

    def have(do: Callable[[], Any], *, batch: int = 1) -> None:
        payments = count(1)

        def first_do(spend: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            if next(payments) == batch:
                do()
            return spend(*args, **kwargs)

        for module, name in (
            (recall, "spend_unless_recalled"),
            (persons, "spend_for_people"),
        ):
            monkeypatch.setattr(module, name, partial(first_do, getattr(module, name)))

    return have


def in_thread(work: Callable[[], Any]) -> threading.Thread:
    """Start a thread that does this on a connection of its own."""

    def do() -> None:
        try:
            work()
        finally:
            database.close()

    thread = threading.Thread(target=do)
    thread.start()
    return thread


def opt_out(lead: Lead) -> None:
    Lead.objects.filter(pk=lead.pk).update(share_with_ad_platforms=False)


LEAVING = {
    "opt out": lambda deal: opt_out(deal.lead),
    "delete the lead": lambda deal: deal.lead.delete(),
    "delete the deal": lambda deal: deal.delete(),
}


@pytest.mark.parametrize("how", LEAVING)
def test_it_holds_where_the_process_dies_right_after_the_commit(
    company, connected, make_rule, sandbox, settings, before_payment, monkeypatch, how
) -> None:
    settings.BATCH_SIZE = 1
    make_rule("deal_created")
    make_deal(make_lead(company))
    deal = make_deal(make_lead(company))

    def leave() -> None:
        with monkeypatch.context() as dying:
            dying.setattr(
                BaseDatabaseWrapper,
                "run_and_clear_commit_hooks",
                lambda self: self.run_on_commit.clear(),
            )
            LEAVING[how](deal)

    before_payment(leave, batch=2)
    send_all(company)

    assert (states(company)[0], len(received(sandbox))) == ("accepted", 1)


@pytest.mark.parametrize("frequency", ["every_time", "per_person"])
def test_it_holds_where_it_is_committed_while_the_payment_waits_for_the_lane(
    company, connected, make_rule, sandbox, before_payment, frequency
) -> None:
    make_rule("lead_created", frequency=frequency)
    lead = make_lead(company)
    locked, left = threading.Event(), threading.Event()

    def lock_and_leave() -> None:
        with transaction.atomic():
            Connection.objects.select_for_update().get()
            locked.set()
            wait_for(somebody_waits, seconds=SECONDS, told="the payment waits")
            in_thread(lambda: opt_out(lead)).join(SECONDS)
            left.set()

    before_payment(lambda: (in_thread(lock_and_leave), locked.wait(SECONDS)))
    send_all(company)

    assert (left.is_set(), states(company), received(sandbox)) == (
        True,
        ["skipped"],
        [],
    )


def test_it_holds_where_it_was_made_before_the_batch_was_read_and_is_committed_after(
    company, connected, make_rule, sandbox, before_payment
) -> None:
    make_rule("lead_created")
    lead = make_lead(company, email="wrong@example.com")
    with ExitStack() as correcting:
        change = Lead.objects.filter(pk=lead.pk)
        correcting.enter_context(
            without_a_commit(lambda: change.update(email="right@example.com"))
        )
        before_payment(correcting.close)
        send_all(company)

    assert hashes(sandbox) == [email_sha256("right@example.com")]


def test_what_was_recalled_before_the_turn_is_read_once(
    company, connected, make_rule, sandbox, monkeypatch
) -> None:
    make_rule("lead_created")
    make_lead(company).delete()
    Lead.objects.filter(pk=make_lead(company).pk).update(email="new@example.com")
    read_again = Mock(side_effect=selection.read_again)
    monkeypatch.setattr(selection, "read_again", read_again)

    send_all(company)

    assert (states(company), read_again.call_count, Recall.objects.count()) == (
        ["cancelled", "accepted"],
        0,
        0,
    )


def test_a_worker_that_has_lost_the_lane_counts_none(company, connected) -> None:
    lost = lane.take_lease(company.pk)
    Connection.objects.update(lease_id=uuid.uuid4())
    make_lead(company).delete()

    with pytest.raises(LeaseLost):
        recall.read_lane(lost)

    assert (Recall.objects.count(), Connection.objects.get().recalls) == (1, 0)


def test_a_change_of_a_lead_does_not_wait_for_whoever_has_locked_the_lane(
    company, connected, make_rule
) -> None:
    make_rule("lead_created")
    lead = make_lead(company)
    lane.take_lease(company.pk)

    with transaction.atomic():
        Connection.objects.select_for_update().get()
        saving = in_thread(lambda: opt_out(lead))
        saving.join(SECONDS)
        assert not saving.is_alive()

    assert not Lead.objects.get().share_with_ad_platforms


def test_a_company_can_be_deleted_together_with_its_leads(
    company, connected, make_rule
) -> None:
    make_rule("lead_created")
    make_lead(company)

    company.delete()

    assert not Lead.objects.exists()


@pytest.mark.parametrize("how", ["erase", "close", "cancel"])
def test_without_a_database_the_wait_for_a_request_lasts_until_it_must_have_ended(
    company, connected, make_rule, settings, monkeypatch, how
) -> None:
    settings.SEND_TIMEOUT_SECONDS = 0
    monkeypatch.setattr(recall, "START_SECONDS", 0.3)
    make_rule("lead_created")
    lead = make_lead(company)
    Connection.objects.update(lease_id=uuid.uuid4(), request_started_at=Now())
    query = Mock(side_effect=OperationalError("the database is away"))
    monkeypatch.setattr(recall, "Now", query)
    before = time.monotonic()

    match how:
        case "erase":
            assert erase_lead(lead=lead)
        case "close":
            deactivate_company(company=company)
        case "cancel":
            with transaction.atomic():
                cancellation.cancel(
                    company_id=company.pk, pks=[ConversionEvent.objects.get().pk]
                )

    took = time.monotonic() - before
    assert (states(company), query.call_count > 1) == (["cancelled"], True)
    assert 0.3 <= took < 5
