"""An import from the file to the leads: what is added, filled, left out and refused, and what LinkedIn is told."""

import threading
from collections.abc import Callable
from contextlib import nullcontext
from datetime import date, timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DataError, InterfaceError, connection
from django.test.utils import CaptureQueriesContext

from capi.models import ConversionEvent
from capi.models.functions import database_now
from capi.services import backfills
from crm.data_exchange.importing import storing, work, writing
from crm.data_exchange.importing.objects.leads import ImportedLeads
from crm.jobs import runner
from crm.models import (
    AuditEntry,
    Change,
    CrmEvent,
    ImportStep,
    Lead,
    LeadImport,
    LeadImportFile,
    LeadImportRow,
    LeadStatus,
    Membership,
    Note,
    Task,
)
from crm.models.job import JobState
from crm.services import lead_imports
from crm.services.tasks import save_task
from tests.conftest import make_deal, make_lead, make_note
from tests.crm.data_exchange.importing.uploading import (
    HEADER,
    PEOPLE,
    names,
    run,
    upload,
    work_on,
)
from tests.crm.statement_timeouts import take_too_long

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_file_is_read_and_mapped_and_writes_no_lead_yet(sales: Membership) -> None:
    checked = upload(sales, PEOPLE)

    assert checked.state == JobState.PAUSED
    assert checked.columns == [
        "first_name",
        "last_name",
        "email",
        "phone",
        "organisation",
        "title",
    ]
    assert checked.planned == {"new": 3, "lead_created": 2, "lead_created:later": 1}
    assert not Lead.objects.exists()


def test_a_check_writes_each_row_once_and_locks_no_lead(
    sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "CHUNK", 2)
    make_lead(sales.company, email="ines@harbour.example", title="")
    repeated = f"{PEOPLE}Tomas,Berg,t.berg@fjord.example,,,\n"

    with CaptureQueriesContext(connection) as read:
        checked = upload(sales, repeated)
    with CaptureQueriesContext(connection) as mapped:
        again = work_on(
            lead_imports.map_columns(lead_import=checked, columns=checked.columns)
        )

    assert checked.planned == again.planned == {
        "update": 1, "new": 2, "duplicate": 1, "lead_created": 1, "lead_created:later": 1
    }  # fmt: skip
    assert LeadImportRow.objects.get(number=5).of_row == 3
    statements = [query["sql"] for query in (*read, *mapped)]
    assert not [
        query for query in read if query["sql"].startswith('UPDATE "crm_leadimportrow"')
    ]
    assert not [
        sql for sql in statements if '"crm_lead"' in sql and "FOR NO KEY UPDATE" in sql
    ]


def test_a_file_whose_check_takes_long_is_read_first_and_then_checked_chunk_by_chunk(
    sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "CHUNK", 1)
    monkeypatch.setattr(lead_imports, "SMALL_FILE", 0)
    clock = Mock(side_effect=[0, 0, 4, 6])
    monkeypatch.setattr(storing, "time", Mock(monotonic=clock))
    waiting = lead_imports.upload(
        company=sales.company,
        file=SimpleUploadedFile("a.csv", PEOPLE.encode()),
        actor=sales.user,
    )

    assert work.advance(waiting.pk)

    waiting.refresh_from_db()
    assert (waiting.step, waiting.row_count, waiting.rows_done) == (
        ImportStep.CHECKING,
        3,
        2,
    )
    assert list(LeadImportRow.objects.values_list("outcome", flat=True)) == [
        "new",
        "new",
        "",
    ]
    assert work_on(waiting).planned["new"] == 3
    assert waiting.state == JobState.PAUSED


def test_a_file_is_opened_while_nothing_is_locked(
    sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, locked = storing.read_table, []

    def note(*file: Any) -> Any:
        locked.append(connection.in_atomic_block)
        return opened(*file)

    monkeypatch.setattr(storing, "read_table", note)

    assert upload(sales, PEOPLE).state == JobState.PAUSED
    assert locked == [False]


def test_an_import_whose_file_is_gone_ends(sales: Membership) -> None:
    lost = LeadImport.objects.create(
        company=sales.company, file_name="leads.csv", size=1, made_by=sales.user
    )

    assert not work.advance(lost.pk)

    lost.refresh_from_db()
    assert lost.state == JobState.FAILED


@pytest.mark.parametrize(
    ("error", "state"),
    [(DataError, JobState.FAILED), (InterfaceError, JobState.WAITING)],
    ids=["data", "connection closed"],
)
def test_what_the_database_refuses_to_store_is_not_tried_again(
    sales: Membership,
    monkeypatch: pytest.MonkeyPatch,
    error: type[Exception],
    state: JobState,
) -> None:
    monkeypatch.setattr(lead_imports, "SMALL_FILE", 0)
    waiting = lead_imports.upload(
        company=sales.company,
        file=SimpleUploadedFile("a.csv", b"name\nAda\n"),
        actor=sales.user,
    )
    monkeypatch.setattr(
        storing, "guess_columns", Mock(side_effect=error("no such text"))
    )

    with pytest.raises(error) if state == JobState.WAITING else nullcontext():
        assert not work.advance(waiting.pk)

    waiting.refresh_from_db()
    assert waiting.state == state
    assert LeadImportFile.objects.exists() == (state == JobState.WAITING)
    assert not LeadImportRow.objects.exists()


def test_an_import_that_reaches_the_time_limit_each_time_ends(
    sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_import = upload(sales, PEOPLE)
    lead_imports.start(
        lead_import=lead_import, owner=None, tells_platforms=False, actor=sales.user
    )
    monkeypatch.setattr(work, "judge", take_too_long)
    for _ in range(runner.TRIES - 1):
        assert not work.advance(lead_import.pk)

    assert not work.advance(lead_import.pk)

    lead_import.refresh_from_db()
    assert (lead_import.state, lead_import.problem) == (
        JobState.FAILED,
        runner.TOO_SLOW,
    )
    assert not Lead.objects.exists()
    assert not work.advance(lead_import.pk)
    assert lead_imports.undo(lead_import=lead_import, actor=sales.user)
    assert work_on(lead_import).was_undone


def test_a_chunk_in_time_begins_the_count_again(
    sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "CHUNK", 1)
    lead_import = upload(sales, PEOPLE)
    lead_imports.start(
        lead_import=lead_import, owner=None, tells_platforms=False, actor=sales.user
    )
    judges = work.judge

    for _ in range(3):
        monkeypatch.setattr(work, "judge", take_too_long)
        for _ in range(runner.TRIES - 1):
            assert not work.advance(lead_import.pk)
        monkeypatch.setattr(work, "judge", judges)
        assert work.advance(lead_import.pk)

    assert work_on(lead_import).state == JobState.DONE
    assert names() == ["Aisha Rahman", "Ines Moreau", "Tomas Berg"]


def test_an_import_adds_each_lead_with_its_owner_and_its_history(
    sales: Membership,
) -> None:
    done = run(upload(sales, PEOPLE), sales, owner=sales.user)

    assert (done.state, done.done["new"]) == (JobState.DONE, 3)
    assert names() == ["Aisha Rahman", "Ines Moreau", "Tomas Berg"]
    assert set(Lead.objects.values_list("owner", "status__name")) == {
        (sales.user_id, "New")
    }
    assert set(CrmEvent.objects.values_list("kind", "history_only", "actor")) == {
        ("lead_created", True, sales.user_id)
    }


def test_a_new_row_has_the_key_of_its_lead_before_there_is_the_lead(
    sales: Membership,
) -> None:
    """So the row isn't written twice."""
    checked = upload(sales, PEOPLE)
    reserved = list(LeadImportRow.objects.of(checked).values_list("lead", flat=True))
    assert None not in reserved

    with CaptureQueriesContext(connection) as statements:
        run(checked, sales)

    assert list(Lead.objects.order_by("pk").values_list("pk", flat=True)) == reserved
    assert not [
        each
        for each in statements
        if each["sql"].startswith('UPDATE "crm_leadimportrow"')
    ]


def test_a_row_whose_lead_was_deleted_after_the_check_gets_another_key(
    sales: Membership,
) -> None:
    known = make_lead(sales.company, email="ines@harbour.example", title="")
    checked = upload(sales, PEOPLE)
    former = known.pk
    known.delete()

    done = run(checked, sales)

    assert done.done["new"] == 3
    assert former not in Lead.objects.values_list("pk", flat=True)
    assert set(LeadImportRow.objects.of(done).values_list("lead", flat=True)) == set(
        Lead.objects.values_list("pk", flat=True)
    )


def test_leads_that_were_added_after_the_check_are_older_than_those_of_the_file(
    sales: Membership,
) -> None:
    """Lists are sorted by key: a program that reads only what is newest would never see leads with older keys."""
    known = make_lead(sales.company, email="ines@harbour.example", title="")
    checked = upload(sales, PEOPLE)
    make_lead(sales.company, first_name="Zoe", email="zoe@example.com")
    known.delete()

    run(checked, sales)

    assert list(Lead.objects.order_by("pk").values_list("first_name", flat=True)) == [
        "Zoe",
        "Ines",
        "Tomas",
        "Aisha",
    ]


def test_a_row_whose_person_was_added_after_the_check_is_about_that_lead(
    sales: Membership,
) -> None:
    checked = upload(sales, PEOPLE)
    known = make_lead(sales.company, email="ines@harbour.example", title="")

    done = run(checked, sales)

    assert (done.done["new"], done.done["update"]) == (2, 1)
    assert [
        row.lead for row in LeadImportRow.objects.of(done).filter(outcome="update")
    ] == [known]
    assert Lead.objects.count() == 3


def test_the_same_file_twice_adds_nothing(sales: Membership) -> None:
    run(upload(sales, PEOPLE), sales)

    again = run(upload(sales, PEOPLE), sales)

    assert again.planned == again.done == {"duplicate": 3}
    assert len(names()) == 3


def test_a_known_lead_gets_what_is_missing_and_keeps_what_it_has(
    sales: Membership,
) -> None:
    lead = make_lead(sales.company, email="INES@harbour.example", title="Director")

    done = run(upload(sales, PEOPLE), sales)

    lead.refresh_from_db()
    assert (lead.first_name, lead.last_name, lead.organisation, lead.title) == (
        "Ada", "Moreau", "Harbour Freight", "Director"
    )  # fmt: skip
    assert done.done["update"] == 1
    assert not Change.objects.exists()


def test_an_import_says_which_quotation_marks_are_not_closed(sales: Membership) -> None:
    one = upload(sales, 'Name,Company\nAda,"Acme\nBob,Beta\n')
    many = upload(sales, "Name,Company\n" + 'Ada,"Acme\nBob,"Beta"\n' * 6)

    assert (one.row_count, one.notes) == (
        2, ["A quotation mark in row 2 isn't closed. Check this row and those after it."]
    )  # fmt: skip
    [note] = many.notes
    assert note.startswith(
        "Quotation marks in rows 2, 4, 6, 8 and 2 others aren't closed."
    )


def test_a_row_whose_address_can_t_be_read_is_not_matched_by_a_name_alone(
    sales: Membership,
) -> None:
    kim = make_lead(
        sales.company,
        first_name="Kim",
        last_name="Lee",
        email="k1@example.com",
        phone="",
        title="",
    )
    header = "First name,Last name,E-mail,Phone,Job title,Opted out"
    rows = [
        "Kim,Lee,k2@,,CEO,yes",
        "Kim,Lee,K2@,,CEO,yes",
        "Kim,Lee,k3@,,CFO,no",
        "Kim,Lee,k4@,12345,COO,no",
    ]

    done = run(upload(sales, "\n".join([header, *rows])), sales)

    kim.refresh_from_db()
    assert (kim.title, kim.share_with_ad_platforms) == ("", True)
    assert (done.done["new"], done.done["duplicate"]) == (3, 1)
    again = run(upload(sales, f"{header}\nKim,Lee,k4@,12345,,yes\n"), sales)
    assert again.done["update"] == 1
    assert not Lead.objects.get(phone="12345").share_with_ad_platforms


def test_an_opt_out_reaches_a_known_lead_and_a_consent_does_not(
    sales: Membership,
) -> None:
    shared = make_lead(sales.company, email="a@example.com")
    opted_out = make_lead(
        sales.company, email="b@example.com", share_with_ad_platforms=False
    )

    run(
        upload(
            sales,
            "name,email,opted out\nAda B,a@example.com,yes\nAda B,b@example.com,no\n",
        ),
        sales,
    )

    shared.refresh_from_db()
    opted_out.refresh_from_db()
    assert not shared.share_with_ad_platforms
    assert not opted_out.share_with_ad_platforms
    assert Change.objects.get().field == "sharing"


def test_the_outcomes_add_up_to_the_rows(sales: Membership) -> None:
    make_lead(sales.company, email="known@example.com", last_name="B")
    rows = [
        "Ada,B,new@example.com,,,", "Ada,B,new@example.com,,,", "Ada,B,known@example.com,,,", "Ada,B,known@,,,",
        ",,nameless@example.com,,,", f"{'x' * 121},B,,,,", "Ada,B,c@example.com,,,,surplus", "",
        "Ada,B,KNOWN@example.com,,,Director",
    ]  # fmt: skip

    checked = upload(sales, "\n".join([HEADER, *rows]))
    done = run(checked, sales)

    assert done.planned == done.done == {
        "new": 3, "duplicate": 3, "bad": 2, "bad:name_missing": 1, "bad:too_many_cells": 1, "lead_created": 1,
        "lead_created:later": 2, "cell:2:email_invalid": 1, "cell:0:too_long": 1,
    }  # fmt: skip
    assert LeadImportRow.objects.get(number=5).cell_problems == {"2": "email_invalid"}
    bad = LeadImportRow.objects.get(problem="name_missing")
    assert (bad.number, bad.column) == (6, 0)
    assert LeadImportRow.objects.get(number=3).of_row == 2


def test_statuses_and_types_are_found_by_name(sales: Membership) -> None:
    text = (
        "Name,Status,Type\nAda B,qualified,Referral\nIda B,unheard of,\nEda B,,none\n"
    )

    done = run(upload(sales, text), sales)

    leads = Lead.objects.order_by("pk").values_list("status__name", "type")
    assert list(leads) == [
        ("Qualified", "referral"),
        ("New", "inbound"),
        ("New", "inbound"),
    ]
    assert (done.done["cell:1:status_unknown"], done.done["cell:2:type_unknown"]) == (
        1,
        1,
    )


@pytest.fixture
def rules(token: Any, make_rule: Any) -> list[Any]:
    return [make_rule("lead_created"), make_rule("lead_qualified")]


def test_an_import_tells_linkedin_nothing_now_or_by_a_later_backfill(
    sales: Membership, rules: list[Any]
) -> None:
    start = database_now()
    run(upload(sales, "Name,E-mail,Status\nAda B,a@example.com,Qualified\n"), sales)

    with pytest.raises(Exception, match="nothing to send"):
        backfills.start(rule=rules[0], since=start, until=database_now())

    assert CrmEvent.objects.count() == 2
    assert not ConversionEvent.objects.exists()


def test_an_import_tells_linkedin_what_was_chosen(
    sales: Membership, rules: list[Any]
) -> None:
    checked = upload(
        sales,
        "Name,E-mail,Status\nAda B,a@example.com,Qualified\nIda B,i@example.com,\n",
    )

    run(checked, sales, tells_platforms=True)

    assert checked.planned == {"new": 2, "lead_created": 2, "lead_qualified": 1}
    assert ConversionEvent.objects.filter(state="pending").count() == 3


def test_later_steps_of_an_imported_lead_are_told_as_usual(
    sales: Membership, rules: list[Any]
) -> None:
    run(upload(sales, PEOPLE), sales)
    lead = Lead.objects.get(first_name="Ines")

    lead.status = LeadStatus.objects.for_company(sales.company).get(name="Qualified")
    lead.save()

    assert ConversionEvent.objects.get().rule == rules[1]


@pytest.mark.parametrize("dies_in", range(1, 5))
def test_a_worker_that_dies_changes_nothing_in_the_outcome(
    sales: Membership, monkeypatch: pytest.MonkeyPatch, dies_in: int
) -> None:
    monkeypatch.setattr(storing, "CHUNK", 2)
    text = "\n".join([HEADER, *(f"Ada,{n},a{n % 7}@example.com,,," for n in range(9))])
    lead_import = upload(sales, text)
    lead_imports.start(
        lead_import=lead_import, owner=None, tells_platforms=False, actor=sales.user
    )
    saved = writing.save_rows
    chunks = iter(range(1, 100))

    class Killed(BaseException):
        """Nothing catches it, as nothing catches a kill."""

    def die(*args: Any) -> None:
        saved(*args)
        if next(chunks) == dies_in:
            raise Killed

    monkeypatch.setattr(writing, "save_rows", die)
    with pytest.raises(Killed):
        work_on(lead_import)

    done = work_on(lead_import)

    assert (done.state, done.done) == (
        JobState.DONE,
        {"new": 7, "duplicate": 2, "lead_created": 7},
    )
    assert Lead.objects.count() == CrmEvent.objects.count() == 7


def test_rows_about_one_person_in_several_chunks_count_once(
    sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "CHUNK", 3)
    make_lead(
        sales.company,
        first_name="Known",
        last_name="K",
        email="known@example.com",
        phone="",
        title="",
    )
    rows = [
        "Ada,A,a@example.com,,,", "Bea,B,,11111,,", "Known,K,known@example.com,22222,,",
        "Ada,A,A@example.com,,,", "Known,K,,22222,,", "Bea,B,,1 11 11,,",
        "Known,K,,22222,,Director", "Known,K,known@example.com,,,Owner", "Ada,A,a@example.com,,,",
    ]  # fmt: skip

    done = run(upload(sales, "\n".join([HEADER, *rows])), sales)

    assert done.done == done.planned == {
        "new": 3, "update": 1, "duplicate": 5, "lead_created": 1, "lead_created:later": 2
    }  # fmt: skip
    repeated = (
        LeadImportRow.objects.of(done)
        .filter(outcome="duplicate")
        .values_list("number", "of_row")
    )
    assert list(repeated) == [(5, 2), (7, 3), (8, 6), (9, 4), (10, 2)]


def test_a_status_that_is_deleted_while_leads_with_it_are_added_has_the_chunk_done_again(
    sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = LeadStatus.objects.create(
        company=sales.company, name="Warm", meaning="contacted", position=9
    )
    lead_import = upload(sales, "Name,Status\nAda A,Warm\nBea B,New")
    lead_imports.start(
        lead_import=lead_import, owner=None, tells_platforms=False, actor=sales.user
    )
    write = work.write

    def delete_and_write(*about: Any) -> None:
        monkeypatch.setattr(work, "write", write)
        in_another_thread(status.delete)
        write(*about)

    monkeypatch.setattr(work, "write", delete_and_write)

    done = work_on(lead_import)

    assert (done.state, done.done["new"], done.done["cell:1:status_unknown"]) == (
        "done",
        2,
        1,
    )


def in_another_thread(step: Callable[[], Any]) -> None:
    def run() -> None:
        step()
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)


def test_cancel_keeps_what_is_in_and_undo_takes_it_back(
    sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "CHUNK", 2)
    lead_import = upload(sales, PEOPLE)
    lead_imports.start(
        lead_import=lead_import, owner=None, tells_platforms=False, actor=sales.user
    )
    work.advance(lead_import.pk)

    assert lead_imports.cancel(lead_import=lead_import, actor=sales.user)
    assert not work.advance(lead_import.pk)
    assert names() == ["Ines Moreau", "Tomas Berg"]
    assert lead_imports.undo(lead_import=lead_import, actor=sales.user)
    assert work_on(lead_import).was_undone
    assert names() == []


def test_undo_leaves_what_was_changed_since(sales: Membership) -> None:
    known, other = (
        make_lead(sales.company, email=f"{name}@example.com")
        for name in ("known", "other")
    )
    text = f"{PEOPLE}Ada,B,known@example.com,,,Buyer\nAda,B,other@example.com,,,Owner\n"
    done = run(upload(sales, text), sales)
    make_deal(Lead.objects.get(first_name="Ines"))
    Lead.objects.filter(first_name="Tomas").update(
        updated_at=database_now() + timedelta(hours=1)
    )
    Lead.objects.filter(pk=other.pk).update(title="Boss")

    lead_imports.undo(lead_import=done, actor=sales.user)
    work_on(done)

    known.refresh_from_db()
    other.refresh_from_db()
    assert (known.title, known.last_name) == ("", "")
    assert (other.title, other.last_name) == ("Boss", "")
    assert names() == ["Ada", "Ada", "Ines Moreau", "Tomas Berg"]


def test_undo_leaves_a_lead_that_somebody_has_called(sales: Membership) -> None:
    done = run(upload(sales, PEOPLE), sales)
    note = make_note(sales, Lead.objects.get(first_name="Ines"), kind="call")

    lead_imports.undo(lead_import=done, actor=sales.user)
    work_on(done)

    assert names() == ["Ines Moreau"]
    assert Note.objects.get() == note


def test_undo_leaves_a_lead_that_somebody_has_planned_a_task_about(
    sales: Membership,
) -> None:
    done = run(upload(sales, PEOPLE), sales)
    ines = Lead.objects.get(first_name="Ines")
    save_task(
        task=Task(
            company=sales.company,
            lead=ines,
            owner=sales.user,
            title="Call",
            due_on=date(2026, 12, 1),
        )
    )

    lead_imports.undo(lead_import=done, actor=sales.user)
    work_on(done)

    assert names() == ["Ines Moreau"]
    assert Task.objects.get().lead == ines


def test_an_import_can_be_undone_for_seven_days_and_no_longer(
    sales: Membership,
) -> None:
    done = run(upload(sales, PEOPLE), sales)
    LeadImport.objects.filter(pk=done.pk).update(
        finished_at=database_now() - timedelta(days=7, seconds=1)
    )

    with pytest.raises(ValidationError, match=r"This import can no longer be undone\."):
        lead_imports.undo(lead_import=done, actor=sales.user)

    assert work_on(done).state == JobState.DONE
    assert names() == ["Aisha Rahman", "Ines Moreau", "Tomas Berg"]
    assert not AuditEntry.objects.filter(action="import_undone").exists()
    LeadImport.objects.filter(pk=done.pk).update(
        finished_at=database_now() - timedelta(days=7, minutes=-1)
    )
    assert lead_imports.undo(lead_import=done, actor=sales.user)
    assert work_on(done).was_undone


def test_undo_stops_what_was_not_sent_and_counts_what_was(
    sales: Membership, rules: list[Any]
) -> None:
    done = run(upload(sales, PEOPLE), sales, tells_platforms=True)
    ConversionEvent.objects.filter(lead__first_name="Ines").update(state="accepted")

    lead_imports.undo(lead_import=done, actor=sales.user)
    work_on(done)

    assert done.already_told == 1
    assert not Lead.objects.exists()
    assert dict(ConversionEvent.objects.values_list("state", "reason")) == {
        "accepted": "",
        "cancelled": "taken_back",
    }


def test_two_imports_of_a_company_don_t_write_at_once(sales: Membership) -> None:
    first, second = upload(sales, PEOPLE), upload(sales, PEOPLE)
    lead_imports.start(
        lead_import=first, owner=None, tells_platforms=False, actor=sales.user
    )

    with pytest.raises(Exception, match="Another import"):
        lead_imports.start(
            lead_import=second, owner=None, tells_platforms=False, actor=sales.user
        )

    assert LeadImport.objects.get(pk=second.pk).state == JobState.PAUSED


def test_our_own_failure_ends_the_import_with_a_sentence(
    sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_import = upload(sales, PEOPLE)
    monkeypatch.setattr(ImportedLeads, "add", lambda *args: 1 / 0)

    failed = run(lead_import, sales)

    assert (failed.state, failed.done) == (JobState.FAILED, {})
    assert "our side" in failed.problem


def test_the_columns_of_a_list_are_remembered(sales: Membership) -> None:
    lead_import = upload(sales, "Wer,Wo\nAda,ada@example.com\n")
    run(
        lead_imports.map_columns(
            lead_import=lead_import, columns=["full_name", "email"]
        ),
        sales,
    )

    again, other = (
        upload(sales, "Wer,Wo,Reason\nIda,i@example.com,x\n"),
        upload(sales, "Wer,Was\nIda,i@example.com\n"),
    )

    assert again.columns == ["full_name", "email", ""]
    assert other.columns == ["", "email"]


@pytest.mark.parametrize(
    ("length", "problems"), [(20_000, None), (20_001, {"1": "too_long"})]
)
def test_a_background_may_be_as_long_as_in_the_form(
    sales: Membership, length: int, problems: Any
) -> None:
    upload(sales, f"First name,Background\nAda,{'x' * length}\n")

    row = LeadImportRow.objects.get()
    assert (row.outcome, row.cell_problems) == ("new", problems)
