"""Bulk changes in the background, by any number of workers, any of which may die at any moment."""

import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from capi.models import ConversionEvent
from crm.jobs import runner
from crm.jobs.rounds import work_through
from crm.models import (
    AuditEntry,
    BulkChange,
    BulkKind,
    BulkSelection,
    Change,
    Company,
    CrmEvent,
    Lead,
    LeadChange,
    LeadStatus,
    Membership,
    Tag,
)
from crm.models.roles import Role
from crm.services import bulk_changes, lead_changes
from crm.services.bulk_changes import advance, cancel, start
from crm.services.editing import change_status
from crm.services.lead_changes import Confirmation, MoreThanConfirmed
from crm.services.lead_merges import merge_leads
from crm.services.picklists import archive_entry
from tests.conftest import all_rules, join, make_deal, make_lead, make_note, make_task
from tests.crm.statement_timeouts import take_too_long

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(BaseException):
    """Ends a worker in the middle of its work, as SIGKILL does."""


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_changes, "CHUNK", 2)
    monkeypatch.setattr(bulk_changes, "DELETED_CHUNK", 1)


@pytest.fixture
def qualified(company: Company) -> LeadStatus:
    return LeadStatus.objects.for_company(company).get(name="Qualified")


@pytest.fixture
def leads(company: Company) -> list[Lead]:
    return [
        make_lead(company, first_name=f"P{number}", email=f"p{number}@example.com")
        for number in range(5)
    ]


def ask(member: Membership, change: LeadChange, leads: Sequence[Lead]) -> BulkChange:
    keys = [lead.pk for lead in leads]
    confirmed = Confirmation(len(keys), len(keys), timezone.now(), all_rules())
    return start(
        author=member, change=change, keys=keys, confirmed=confirmed, filters=["status"]
    )


@pytest.fixture
def asked(sales: Membership, qualified: LeadStatus, leads: list[Lead]) -> BulkChange:
    """Five leads become Qualified in three chunks, none of which is done yet."""
    return ask(sales, LeadChange(BulkKind.STATUS, qualified), leads)


def outcome(bulk_change: BulkChange) -> tuple[str, dict[str, int]]:
    bulk_change.refresh_from_db()
    return bulk_change.state, {
        result: count for result, count in bulk_change.done.items() if count
    }


def names_of_qualified() -> list[str]:
    """The names of the leads with an event that they were qualified, in the order of the events."""
    events = CrmEvent.objects.filter(kind="lead_qualified").order_by("pk")
    return list(events.values_list("lead__first_name", flat=True))


ALL_FIVE = ["P0", "P1", "P2", "P3", "P4"]


def test_it_changes_those_that_matched_when_it_was_asked_for(
    asked: BulkChange, company: Company, qualified: LeadStatus, leads: list[Lead]
) -> None:
    make_lead(company, first_name="Late")
    contacted = LeadStatus.objects.for_company(company).get(name="Contacted")
    # A colleague has decided otherwise.
    change_status(leads=Lead.objects.filter(pk=leads[3].pk), status=contacted)
    Lead.objects.filter(pk=leads[4].pk).update(status=qualified)
    leads[0].delete()

    work_through(lambda: True)

    assert outcome(asked) == (
        "done",
        {"changed": 2, "unchanged": 1, "since": 1, "gone": 1},
    )
    assert sorted(names_of_qualified()) == ["P1", "P2", "P4"]
    assert asked.reached == asked.row_count == 5
    assert asked.finished_at is not None
    assert not BulkSelection.objects.exists()


def test_each_event_waits_for_the_grace_period_and_is_by_whoever_asked(
    asked: BulkChange, company: Company, sales: Membership, make_rule: Any, token: Any
) -> None:
    make_rule("lead_qualified")
    BulkChange.objects.update(rules=[*all_rules()])
    Company.objects.update(grace_seconds=60)

    work_through(lambda: True)

    events = CrmEvent.objects.filter(kind="lead_qualified")
    assert {event.actor_id for event in events} == {sales.user_id}
    assert all(
        event.release_at - event.occurred_at >= timedelta(seconds=55)
        for event in events
    )
    assert list(Change.objects.values_list("field", flat=True)) == ["status"] * 5
    assert (
        ConversionEvent.objects.filter(crm_event__in=events, state="pending").count()
        == 5
    )


def killed_once(monkeypatch: pytest.MonkeyPatch, where: Any, name: str) -> None:
    """Lets the first call of this function do its work, and die right after."""
    does_its_work = getattr(where, name)

    def dying(*args: Any, **kwargs: Any) -> None:
        monkeypatch.setattr(where, name, does_its_work)
        does_its_work(*args, **kwargs)
        raise Killed

    monkeypatch.setattr(where, name, dying)


@pytest.mark.parametrize("name", ["change_leads", "_change_next"])
@pytest.mark.parametrize("done_before", [0, 1, 2])
def test_a_worker_that_dies_in_a_chunk_leaves_nothing_of_it_and_another_goes_on(
    asked: BulkChange, monkeypatch: pytest.MonkeyPatch, name: str, done_before: int
) -> None:
    for _ in range(done_before):
        advance(asked.pk)
    before = (outcome(asked), names_of_qualified())
    killed_once(monkeypatch, bulk_changes, name)
    with pytest.raises(Killed):
        advance(asked.pk)
    assert (outcome(asked), names_of_qualified()) == before

    work_through(lambda: True)

    assert outcome(asked) == ("done", {"changed": 5})
    assert names_of_qualified() == ALL_FIVE


def test_several_workers_change_no_lead_twice(asked: BulkChange) -> None:

    def worker() -> None:
        try:
            for _ in range(20):
                advance(asked.pk)
        finally:
            connection.close()

    workers = [threading.Thread(target=worker) for _ in range(3)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    work_through(lambda: True)

    assert outcome(asked) == ("done", {"changed": 5})
    assert names_of_qualified() == ALL_FIVE


def test_a_company_has_one_at_a_time_and_the_next_waits(
    asked: BulkChange, sales: Membership, leads: list[Lead], other_company: Company
) -> None:
    vip = Tag.objects.create(company=sales.company, name="VIP")
    second = ask(sales, LeadChange(BulkKind.ADD_TAG, vip), leads)
    theirs = ask(
        join(other_company, Role.SALES, email="x@example.com"),
        LeadChange(BulkKind.OWNER),
        [make_lead(other_company)],
    )

    assert not advance(second.pk)
    assert advance(asked.pk)
    assert advance(theirs.pk)
    assert not advance(second.pk)
    assert [outcome(each)[0] for each in (asked, second, theirs)] == [
        "running",
        "waiting",
        "done",
    ]

    work_through(lambda: True)
    assert outcome(second) == ("done", {"changed": 5})


def test_only_a_few_wait(
    asked: BulkChange, sales: Membership, qualified: LeadStatus, leads: list[Lead]
) -> None:
    for _ in range(bulk_changes.AT_WORK_AT_MOST - 1):
        ask(sales, LeadChange(BulkKind.STATUS, qualified), leads)

    with pytest.raises(ValidationError, match="bulk changes in progress"):
        ask(sales, LeadChange(BulkKind.STATUS, qualified), leads)

    assert (
        BulkChange.objects.count()
        == BulkSelection.objects.count()
        == bulk_changes.AT_WORK_AT_MOST
    )


def test_a_cancelled_one_ends_after_its_chunk_and_keeps_what_is_done(
    asked: BulkChange,
) -> None:
    advance(asked.pk)

    assert cancel(bulk_change=asked)
    work_through(lambda: True)

    assert outcome(asked) == ("cancelled", {"changed": 2})
    assert names_of_qualified() == ["P0", "P1"]
    assert not BulkSelection.objects.exists()
    assert not cancel(bulk_change=asked)
    assert AuditEntry.objects.filter(action="bulk_change_cancelled").count() == 1


def lower_the_role(member: Membership, target: LeadStatus) -> None:
    Membership.objects.filter(pk=member.pk).update(role=Role.OPS)


def deactivate(member: Membership, target: LeadStatus) -> None:
    Membership.objects.filter(pk=member.pk).update(is_active=False)


def delete_the_account(member: Membership, target: LeadStatus) -> None:
    member.user.delete()


def close_the_company(member: Membership, target: LeadStatus) -> None:
    Company.objects.filter(pk=member.company_id).update(is_active=False)


def archive(member: Membership, target: LeadStatus) -> None:
    archive_entry(entry=target)


def delete_the_status(member: Membership, target: LeadStatus) -> None:
    new = LeadStatus.objects.for_company(member.company_id).get(name="New")
    Lead.objects.filter(status=target).update(status=new)
    LeadStatus.objects.filter(pk=target.pk).delete()


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (lower_the_role, runner.NO_LONGER_ALLOWED),
        (deactivate, runner.NO_LONGER_ALLOWED),
        (delete_the_account, runner.NO_LONGER_ALLOWED),
        (close_the_company, runner.NO_LONGER_ALLOWED),
        (archive, "Qualified was archived. Choose another lead status."),
        (delete_the_status, "The lead status was deleted."),
    ],
)
def test_it_stops_where_it_may_not_go_on_and_says_why(
    asked: BulkChange,
    sales: Membership,
    qualified: LeadStatus,
    happens: Any,
    reason: str,
) -> None:
    advance(asked.pk)
    happens(sales, qualified)

    work_through(lambda: True)

    assert outcome(asked) == ("failed", {"changed": 2})
    assert asked.problem == reason
    assert names_of_qualified() == ["P0", "P1"]
    assert not BulkSelection.objects.exists()


def test_a_deletion_needs_a_role_that_may_delete(
    admin: Membership, leads: list[Lead]
) -> None:
    asked = ask(admin, LeadChange(BulkKind.DELETE), leads)
    advance(asked.pk)
    # May still edit leads.
    Membership.objects.filter(pk=admin.pk).update(role=Role.SALES)

    work_through(lambda: True)

    assert outcome(asked) == ("failed", {"changed": 1})
    assert Lead.objects.count() == 4


def test_an_owner_whose_account_is_gone_is_not_the_same_as_no_owner(
    sales: Membership, company: Company, leads: list[Lead]
) -> None:
    new = join(company, Role.SALES, email="new@example.com")
    Lead.objects.update(owner=sales.user)
    asked = ask(sales, LeadChange(BulkKind.OWNER, new.user), leads)
    new.user.delete()

    work_through(lambda: True)

    assert outcome(asked) == ("failed", {})
    assert asked.problem == "The owner is no longer in your company."
    assert set(Lead.objects.values_list("owner", flat=True)) == {sales.user_id}


def test_an_error_of_ours_ends_it_and_one_of_the_database_does_not(
    asked: BulkChange, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: Any) -> int:
        raise InterfaceError("the connection is closed")

    def wrong(*args: Any) -> int:
        raise ZeroDivisionError

    monkeypatch.setitem(lead_changes.STEPS, BulkKind.STATUS, away)
    with pytest.raises(InterfaceError):
        advance(asked.pk)
    assert outcome(asked) == ("waiting", {})

    monkeypatch.setitem(lead_changes.STEPS, BulkKind.STATUS, wrong)
    assert not advance(asked.pk)
    assert outcome(asked) == ("failed", {})
    assert asked.problem == runner.FAILED


def test_a_refused_lead_is_counted_with_its_reason_and_the_rest_goes_on(
    asked: BulkChange, leads: list[Lead], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = lead_changes.STEPS[BulkKind.STATUS]

    def failing(rows: Any, target: Any) -> int:
        if rows.filter(pk__in=[leads[0].pk, leads[3].pk]).exists():
            raise ValidationError("It is locked.")
        return step(rows, target)

    monkeypatch.setitem(lead_changes.STEPS, BulkKind.STATUS, failing)
    work_through(lambda: True)

    assert outcome(asked) == ("done", {"changed": 3, "refused": 2})
    assert asked.refusals == {"It is locked.": 2}
    assert names_of_qualified() == ["P1", "P2", "P4"]


def test_more_leads_than_were_confirmed_are_not_changed(
    sales: Membership, qualified: LeadStatus, leads: list[Lead]
) -> None:
    keys = [lead.pk for lead in leads]

    with pytest.raises(MoreThanConfirmed):
        start(
            author=sales,
            change=LeadChange(BulkKind.STATUS, qualified),
            keys=keys,
            confirmed=Confirmation(4, 4, timezone.now(), all_rules()),
            filters=[],
        )

    assert not BulkChange.objects.exists()
    assert not AuditEntry.objects.exists()


def test_the_audit_log_has_what_was_done_to_how_many(
    asked: BulkChange, sales: Membership, qualified: LeadStatus, leads: list[Lead]
) -> None:
    bulk_changes.change_at_once(
        membership=sales,
        change=LeadChange(BulkKind.OWNER, sales.user),
        keys=[leads[0].pk],
    )

    entries = AuditEntry.objects.filter(action="bulk_change").order_by("pk")
    assert [entry.details for entry in entries] == [
        {"change": "status", "leads": 5, "to": qualified.pk, "filters": ["status"]},
        {"change": "owner", "leads": 1, "to": sales.user_id},
    ]
    assert {entry.actor_id for entry in entries} == {sales.user_id}
    assert [entry.object_id for entry in entries] == [asked.pk, None]


def in_another_process(work: Callable[[], object]) -> None:
    def run() -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '5s'")
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


def test_a_chunk_whose_status_is_deleted_under_it_leaves_nothing(
    asked: BulkChange, qualified: LeadStatus, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance(asked.pk)
    contacted = LeadStatus.objects.for_company(asked.company_id).get(name="Contacted")
    BulkChange.objects.filter(pk=asked.pk).update(target=contacted.pk)
    does_its_work = bulk_changes.change_leads

    def deleted_meanwhile(**kwargs: Any) -> Any:
        done = does_its_work(**kwargs)
        in_another_process(LeadStatus.objects.filter(pk=contacted.pk).delete)
        return done

    monkeypatch.setattr(bulk_changes, "change_leads", deleted_meanwhile)
    work_through(lambda: True)

    assert outcome(asked) == ("failed", {"changed": 2})
    assert asked.problem == "The lead status was deleted."
    assert set(Lead.objects.values_list("status__name", flat=True)) == {
        "New",
        "Qualified",
    }


def test_a_save_of_a_lead_waits_for_no_chunk_of_others(
    asked: BulkChange, sales: Membership
) -> None:
    with transaction.atomic():
        advance(asked.pk)
        in_another_process(lambda: make_lead(sales.company, first_name="Late"))

    assert Lead.objects.filter(first_name="Late").exists()


# --- what has been confirmed, and no more ---


def test_a_rule_that_is_added_since_stops_it_before_anything_is_sent(
    asked: BulkChange, token: Any, make_rule: Any
) -> None:
    # The question said that LinkedIn is told nothing.
    BulkChange.objects.update(conversions=0)
    make_rule("lead_qualified")

    work_through(lambda: True)

    assert outcome(asked)[0] == "failed"
    assert asked.problem == bulk_changes.MORE_CONVERSIONS
    assert names_of_qualified() == []


def test_a_rule_that_is_added_on_the_way_stops_the_rest(
    asked: BulkChange, company: Company, token: Any, make_rule: Any
) -> None:
    BulkChange.objects.update(conversions=1)
    advance(asked.pk)
    make_rule("lead_qualified")

    work_through(lambda: True)

    assert outcome(asked) == ("failed", {"changed": 2})
    assert len(names_of_qualified()) == 2
    assert not ConversionEvent.objects.exists()


def test_confirmed_conversions_are_used_up_chunk_by_chunk(
    asked: BulkChange, token: Any, make_rule: Any
) -> None:
    make_rule("lead_qualified")
    BulkChange.objects.update(rules=[*all_rules()])

    work_through(lambda: True)

    assert outcome(asked) == ("done", {"changed": 5})
    assert (asked.conversions, ConversionEvent.objects.count()) == (0, 5)


def test_two_in_a_row_make_no_conversions_that_neither_question_named(
    sales: Membership,
    company: Company,
    qualified: LeadStatus,
    leads: list[Lead],
    token: Any,
    make_rule: Any,
) -> None:
    Lead.objects.update(status=qualified)
    make_rule("lead_qualified")
    contacted = LeadStatus.objects.for_company(company).get(name="Contacted")
    first, second = (
        ask(sales, LeadChange(BulkKind.STATUS, status), leads)
        for status in (contacted, qualified)
    )

    work_through(lambda: True)

    assert outcome(first) == ("done", {"changed": 5})
    assert outcome(second) == ("done", {"since": 5})
    assert not ConversionEvent.objects.exists()


def test_a_deletion_spares_what_others_have_worked_on_since(
    admin: Membership, leads: list[Lead], company: Company
) -> None:
    asked = ask(admin, LeadChange(BulkKind.DELETE), leads)
    good = make_lead(company, first_name="Good")
    make_deal(good)
    merge_leads(kept=leads[0], gone=good)
    make_deal(leads[1])
    make_note(admin, leads[2])
    make_task(admin, lead=leads[3])

    work_through(lambda: True)

    assert outcome(asked) == ("done", {"changed": 1, "since": 4})
    assert set(Lead.objects.values_list("first_name", flat=True)) == {
        "P0",
        "P1",
        "P2",
        "P3",
        "Good",
    }


@pytest.mark.parametrize("at_once", [True, False])
def test_a_deadlock_is_tried_once_more(
    sales: Membership,
    qualified: LeadStatus,
    leads: list[Lead],
    monkeypatch: pytest.MonkeyPatch,
    at_once: bool,
) -> None:
    class Deadlock(Exception):
        sqlstate = "40P01"

    change, keys, work = (
        LeadChange(BulkKind.STATUS, qualified),
        [lead.pk for lead in leads],
        lead_changes._change,
    )
    asked = None if at_once else ask(sales, change, leads)

    def fails_once(*args: Any) -> int:
        monkeypatch.setattr(lead_changes, "_change", work)
        raise OperationalError("deadlock detected") from Deadlock()

    monkeypatch.setattr(lead_changes, "_change", fails_once)
    if asked is None:
        bulk_changes.change_at_once(membership=sales, change=change, keys=keys)
    else:
        work_through(lambda: True)

    assert Lead.objects.filter(status=qualified).count() == 5


def test_statements_that_take_too_long_end_it_with_a_reason_and_the_next_has_its_turn(
    asked: BulkChange,
    sales: Membership,
    leads: list[Lead],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tag = Tag.objects.create(company=sales.company, name="VIP")
    second = ask(sales, LeadChange(BulkKind.ADD_TAG, tag), leads)

    monkeypatch.setitem(lead_changes.STEPS, BulkKind.STATUS, take_too_long)

    # The next one has its turn in the round after the last try.
    for _ in range(runner.TRIES + 1):
        work_through(lambda: True)

    assert (outcome(asked), asked.problem) == (("failed", {}), runner.TOO_SLOW)
    assert outcome(second) == ("done", {"changed": 5})


def test_a_cancel_that_has_to_wait_too_long_says_so(
    asked: BulkChange, sales: Membership, client_as: Any
) -> None:
    held, may_go = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            BulkChange.objects.select_for_update().get(pk=asked.pk)
            held.set()
            may_go.wait(20)
        connection.close()

    holder, client = threading.Thread(target=hold), client_as(sales)
    holder.start()
    held.wait()
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 1000")
    try:
        answer = client.post(f"{asked.get_absolute_url()}cancel/", follow=True)
    finally:
        may_go.set()
        holder.join()
        with connection.cursor() as cursor:
            cursor.execute("RESET statement_timeout")

    assert (
        "Not cancelled yet: it is changing some leads right now."
        in answer.content.decode()
    )
    assert outcome(asked)[0] == "waiting"
