"""An import of tasks: their leads and deals, what is added and refused, and undoing it."""

from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm.models import (
    AuditAction,
    AuditEntry,
    Company,
    CrmEvent,
    Lead,
    LeadImportRow,
    Membership,
    Task,
    TaskReminder,
)
from crm.services.erasure import erase_lead
from crm.services.tasks import finish_task
from tests.conftest import make_deal, make_lead, make_task
from tests.crm.data_exchange.importing.uploading import run, undo, upload

pytestmark = pytest.mark.django_db(transaction=True)

HEADER = "Task,Due,E-mail,Deal"


@pytest.fixture
def ada(sales: Membership) -> Lead:
    return make_lead(
        sales.company, first_name="Ada", last_name="Smit", email="ada@example.com"
    )


def at(member: Membership, *moment: int) -> datetime:
    return datetime(*moment, tzinfo=ZoneInfo(member.company.time_zone))  # type: ignore[arg-type]


def test_a_file_of_tasks_is_recognised_and_imported(
    sales: Membership, ada: Lead
) -> None:
    fleet = make_deal(ada, title="Fleet")
    checked = upload(
        sales,
        "Task;Type;Due;Time;Lead number;Deal;Assigned to;Status;Completed at;Created\n"
        f"Call back;Anruf;31.12.2027;14:30;{ada.pk};;{sales.user.email};Not started;;\n"
        f"Send offer;to-do;30.11.2026;;{ada.pk};FLEET;;Completed;01.12.2026 9:15;29.11.2026\n"
        "Tidy up;Lunch;30.11.2026;;;;;Closed;;\n",
    )

    assert checked.subject == "task"
    assert checked.planned["new"] == 3
    assert not Task.objects.exists()
    run(checked, sales)

    call, offer, tidy = Task.objects.order_by("pk")
    assert (call.title, call.kind, call.lead, call.deal) == (
        "Call back",
        "call",
        ada,
        None,
    )
    assert (call.due_on, call.due_time) == (date(2027, 12, 31), time(14, 30))
    assert (call.owner, call.done_at, call.reminder) == (sales.user, None, False)
    assert (offer.kind, offer.lead, offer.deal) == ("task", None, fleet)
    assert offer.done_at == at(sales, 2026, 12, 1, 9, 15)
    assert offer.created_at == at(sales, 2026, 11, 29, 12)
    assert (tidy.kind, tidy.lead, tidy.deal) == ("task", None, None)
    assert tidy.done_at == at(sales, 2026, 11, 30, 12)
    problems = LeadImportRow.objects.get(number=4).cell_problems
    assert problems == {"1": "not_a_choice"}
    assert not TaskReminder.objects.exists()


SUBJECTS = (
    ("lead by address", "E-mail", "ADA@example.com", "lead"),
    ("lead by name", "Lead", "ada smit", "lead"),
    ("deal by number", "Deal number", "{deal}", "deal"),
    ("deal by title", "Deal", "fleet", "deal"),
    ("deal by title and lead", "Deal,E-mail", "Twice,ada@example.com", "Twice"),
    ("number of another list", "Deal number,Deal", "{deal},Other", "deal_unknown"),
    ("deal of another lead", "Deal,E-mail", "Fleet,bob@example.com", "deal_unknown"),
    ("no such deal", "Deal number", "987654321", "deal_unknown"),
    ("several deals", "Deal", "Twice", "deal_ambiguous"),
    ("no such lead", "E-mail", "eve@example.com", "lead_unknown"),
    ("neither", "E-mail,Deal", ",", "neither"),
)


@pytest.mark.parametrize(
    ("header", "cells", "expected"),
    [each[1:] for each in SUBJECTS],
    ids=[each[0] for each in SUBJECTS],
)
def test_a_row_finds_what_it_is_about_or_says_why_not(
    sales: Membership, ada: Lead, header: str, cells: str, expected: str
) -> None:
    deal = make_deal(ada, title="Fleet")
    bob = make_lead(sales.company, first_name="Bob", email="bob@example.com")
    twice = {lead.pk: make_deal(lead, title="Twice") for lead in (ada, bob)}

    checked = upload(
        sales, f"Task,Due,{header}\nCall,2027-01-31,{cells.format(deal=deal.pk)}\n"
    )
    run(checked, sales)

    about = {
        "lead": (ada.pk, None), "deal": (None, deal.pk), "Twice": (None, twice[ada.pk].pk), "neither": (None, None),
    }  # fmt: skip
    tasks = [*Task.objects.values_list("lead", "deal")]
    assert tasks == ([about[expected]] if expected in about else [])
    row = LeadImportRow.objects.get()
    assert row.problem == ("" if expected in about else expected)


def test_the_cell_that_names_no_deal_is_marked(sales: Membership, ada: Lead) -> None:
    upload(sales, f"{HEADER}\nCall,2027-01-31,ada@example.com,Vans\n")

    assert LeadImportRow.objects.get().column == 3


def test_leads_and_deals_of_another_company_are_not_found(
    sales: Membership, other_company: Company
) -> None:
    foreign = make_lead(other_company, email="eve@example.com")
    deal = make_deal(foreign, title="Theirs")

    run(
        upload(
            sales,
            "Task,Due,Lead number,Deal number,Deal\n"
            f"A,2027-01-31,{foreign.pk},,\nB,2027-01-31,,{deal.pk},\nC,2027-01-31,,,Theirs\n",
        ),
        sales,
    )

    assert not Task.objects.exists()


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        (",2027-01-31", "title_missing"),
        ("A,", "due_missing"),
        ("A,soon", "not_a_date"),
        ("A,1999-12-31", "date_impossible"),
        ("\u200b,2027-01-31", "title_missing"),
        (f"{'A' * 161},2027-01-31", "too_long"),
    ],
)
def test_a_task_needs_a_title_and_a_day(
    sales: Membership, cells: str, problem: str
) -> None:
    checked = upload(sales, f"Task,Due\n{cells}\n")

    assert checked.planned["bad"] == 1
    assert LeadImportRow.objects.get().problem == problem


@pytest.mark.parametrize(
    ("due", "expected"),
    [
        ("2027-07-04 18:00", (date(2027, 7, 4), time(18))),
        ("2027-07-04 00:00:00", (date(2027, 7, 4), None)),
        ("2027-07-04T23:30:00Z", (date(2027, 7, 5), time(1, 30))),
    ],
)
def test_a_due_date_may_have_its_time(
    sales: Membership, due: str, expected: Any
) -> None:
    Company.objects.update(time_zone="Europe/Amsterdam")

    run(upload(sales, f"Task,Due\nCall,{due}\n"), sales)

    assert Task.objects.values_list("due_on", "due_time").get() == expected


def test_known_tasks_are_not_added_again(sales: Membership, ada: Lead) -> None:
    fleet = make_deal(ada, title="Fleet")
    day = date(2027, 1, 31)
    make_task(sales, title="Call", due_on=day, lead=ada)
    make_task(sales, title="Call", due_on=day, deal=fleet)
    make_task(sales, title="Call", due_on=day)
    text = (
        f"{HEADER}\nCALL,2027-01-31,ada@example.com,\nCall,2027-01-31,,Fleet\nCall,2027-01-31,,\n"
        "Call,2027-02-01,,\nCall,2027-02-01,,\n"
    )

    done = run(upload(sales, text), sales)

    assert (done.done["new"], done.done["duplicate"]) == (1, 4)
    assert Task.objects.count() == 4
    assert upload(sales, text).planned == {"duplicate": 5}


def test_tasks_with_numbers_of_their_own_may_look_the_same(sales: Membership) -> None:
    text = "Task number,Task,Due\n" + "".join(
        f"{number},Call,2027-01-31\n" for number in (91, 92, 92)
    )

    done = run(upload(sales, text), sales)

    assert (done.done["new"], done.done["duplicate"]) == (2, 1)


def test_tasks_cause_no_crm_event_and_are_recorded_as_an_import(
    sales: Membership, ada: Lead
) -> None:
    make_deal(ada, title="Fleet")
    before = CrmEvent.objects.count()
    text = f"{HEADER},Done on\nCall,2026-01-31,ada@example.com,Fleet,2026-01-31\n"

    run(upload(sales, text), sales, tells_platforms=True)

    assert Task.objects.count() == 1
    assert CrmEvent.objects.count() == before
    entry = AuditEntry.objects.get(action=AuditAction.IMPORT)
    assert (entry.actor_id, entry.details["rows"]) == (sales.user.pk, 1)
    assert entry.details["object"] == "tasks"


def test_erasing_a_person_reaches_the_rows_about_them_and_their_deals(
    sales: Membership, ada: Lead
) -> None:
    fleet = make_deal(ada, title="Fleet")
    text = f"{HEADER},Deal number\nCall Ada,2027-01-31,ada@example.com,,\nMeet Ada,2027-01-31,,,{fleet.pk}\n"
    run(upload(sales, text), sales)
    assert upload(sales, text).planned == {"duplicate": 2}

    erase_lead(lead=ada)

    rows = LeadImportRow.objects.values_list("cells", "key", "filled")
    assert [*rows] == [([], "", {})] * 4
    assert not Task.objects.filter(title__contains="Ada").exists()


def test_undoing_removes_the_tasks_that_no_one_has_changed(
    sales: Membership, ada: Lead
) -> None:
    other = make_task(sales, title="Other")
    done = run(
        upload(sales, "Task,Due\nA,2027-01-31\nB,2027-01-31\nC,2027-01-31\n"), sales
    )
    finish_task(task=Task.objects.get(title="B"))
    Task.objects.get(title="C").delete()

    undone = undo(done, sales)

    assert undone.was_undone
    assert {*Task.objects.values_list("title", flat=True)} == {"B", other.title}
    assert [*LeadImportRow.objects.order_by("number").values_list("undo", flat=True)] == [
        "removed", "kept", "removed"
    ]  # fmt: skip


def test_the_pages_say_what_happens_to_tasks_and_nothing_of_linkedin(
    sales: Membership, ada: Lead, client_as: Any
) -> None:
    web: Client = client_as(sales)
    checked = upload(sales, f"{HEADER},Type\nCall,2027-01-31,ada@example.com,,Anruf\n")

    page = web.get(checked.get_absolute_url()).content.decode()
    assert "Import tasks" in page
    assert "31 January 2027" in page
    assert "&lt;time" not in page
    assert "1 task is added, 0 updated." in page
    assert "Owner of the new tasks" in page
    assert "Tasks are matched by title" in page
    assert "LinkedIn" not in page.partition("<main")[2]
    done = run(checked, sales)
    page = web.get(done.get_absolute_url()).content.decode()
    assert "See the tasks" in page
    assert "A new task that was" in page
    assert "LinkedIn" not in page.partition("<main")[2]


def test_the_statements_of_an_import_do_not_grow_with_its_rows(
    sales: Membership, ada: Lead
) -> None:
    make_deal(ada, title="Fleet")

    def statements(titles: str) -> int:
        lines = "".join(
            f"{title},2027-01-31,ada@example.com,{deal}\n"
            for title in titles
            for deal in ("", "Fleet")
        )
        with CaptureQueriesContext(connection) as captured:
            run(upload(sales, f"{HEADER}\n{lines}"), sales)
        return len(captured)

    statements("A")
    assert statements("BC") == statements("DEFGHIJKLM")


def test_an_open_task_of_the_past_is_late(sales: Membership) -> None:
    run(upload(sales, "Task,Due\nCall,2020-01-31\n"), sales)

    assert Task.objects.get().is_late(timezone.localtime())
