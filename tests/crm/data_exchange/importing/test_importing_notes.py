"""An import of notes and calls: their leads and deals, authors and times, and undoing it."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm.models import (
    Attachment,
    Lead,
    LeadImportRow,
    Membership,
    Note,
)
from crm.services.erasure import erase_lead
from crm.services.notes import edit_note
from tests.conftest import make_deal, make_lead, make_note
from tests.crm.data_exchange.importing.uploading import run, undo, upload

pytestmark = pytest.mark.django_db(transaction=True)

HEADER = "Note text,Kind,Time,E-mail,Deal"


@pytest.fixture
def ada(sales: Membership) -> Lead:
    return make_lead(
        sales.company, first_name="Ada", last_name="Smit", email="ada@example.com"
    )


def at(member: Membership, *moment: int) -> datetime:
    return datetime(*moment, tzinfo=ZoneInfo(member.company.time_zone))  # type: ignore[arg-type]


def test_a_file_of_notes_is_recognised_and_imported(
    sales: Membership, admin: Membership, ada: Lead
) -> None:
    fleet = make_deal(ada, title="Fleet")
    checked = upload(
        admin,
        f"{HEADER},By\n"
        f'"Likes blue.\nNot red.",Note,2026-07-04T18:00:05Z,ADA@example.com,,{sales.user.email}\n'
        "Rang her,Anruf,3 Nov 2026,,fleet,\n"
        "Today,,,ada@example.com,,Nobody\n",
    )

    assert (checked.subject, checked.planned["new"]) == ("note", 3)
    assert not Note.objects.exists()
    before = timezone.now()
    run(checked, admin)

    blue, rang, today = Note.objects.order_by("pk")
    assert (blue.text, blue.kind) == ("Likes blue.\nNot red.", "note")
    assert (blue.lead, blue.deal, blue.author) == (ada, None, sales.user)
    assert blue.created_at.isoformat() == "2026-07-04T18:00:05+00:00"
    assert (rang.kind, rang.lead, rang.deal) == ("call", ada, fleet)
    assert (rang.created_at, rang.author) == (at(sales, 2026, 11, 3, 12), admin.user)
    assert today.created_at >= before
    assert today.author == admin.user
    problems = LeadImportRow.objects.get(number=4).cell_problems
    assert problems == {"5": "owner_unknown"}


def test_only_admins_import_notes_that_others_wrote(
    sales: Membership, admin: Membership, ada: Lead
) -> None:
    authors = [sales.user.email, admin.user.email]
    rows = "".join(f"By {each},,,ada@example.com,,{each}\n" for each in authors)

    run(upload(sales, f"{HEADER},By\n{rows}"), sales)

    assert {note.author for note in Note.objects.all()} == {sales.user}
    own, of_admin = LeadImportRow.objects.order_by("number")
    assert own.cell_problems is None
    assert of_admin.cell_problems == {"5": "author_other"}


def test_an_admin_who_starts_a_colleagues_file_keeps_its_authors(
    sales: Membership, admin: Membership, ada: Lead
) -> None:
    text = f"{HEADER},By\nHi,,,ada@example.com,,{admin.user.email}\n"
    checked = upload(sales, text)
    assert checked.planned["cell:5:author_other"] == 1

    run(checked, admin)

    assert Note.objects.get().author == admin.user
    assert LeadImportRow.objects.get().cell_problems is None


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        (",,,ada@example.com,", "text_missing"),
        ("\u200b,,,ada@example.com,", "text_missing"),
        (f"{'A' * 10_001},,,ada@example.com,", "too_long"),
        ("Hi,,,,", "lead_unknown"),
        ("Hi,,,eve@example.com,", "lead_unknown"),
        ("Hi,,,,Vans", "deal_unknown"),
    ],
)
def test_a_note_needs_a_text_and_a_lead_or_deal(
    sales: Membership, ada: Lead, cells: str, problem: str
) -> None:
    checked = upload(sales, f"{HEADER}\n{cells}\n")

    assert checked.planned["bad"] == 1
    assert LeadImportRow.objects.get().problem == problem


def test_known_notes_are_not_added_again(sales: Membership, ada: Lead) -> None:
    fleet = make_deal(ada, title="Fleet")
    make_note(sales, ada, text="Hi")
    on_deal = make_note(sales, fleet, text="Hi")
    moment = on_deal.created_at.isoformat(timespec="seconds")
    text = (
        f"{HEADER}\nHi,,,ada@example.com,\nHi,,{moment},,Fleet\n"
        "Hi,call,,,Fleet\nHi,,2026-07-01,,Fleet\nHi,,2026-07-02,,Fleet\nHi,,2026-07-02,,Fleet\n"
    )

    done = run(upload(sales, text), sales)

    assert (done.done["new"], done.done["duplicate"]) == (3, 3)
    assert upload(sales, text).planned == {"duplicate": 6}


def test_a_file_with_a_column_of_notes_is_still_one_of_leads(sales: Membership) -> None:
    checked = upload(
        sales, "Name,E-mail,Notes,Created,Owner\nAda Smit,ada@example.com,Hi,,\n"
    )

    assert checked.subject == "lead"


def test_undoing_removes_the_notes_that_no_one_has_changed(
    sales: Membership, ada: Lead
) -> None:
    lines = "".join(f"{text},,,ada@example.com,\n" for text in "ABC")
    done = run(upload(sales, f"{HEADER}\n{lines}"), sales)
    edited = Note.objects.get(text="B")
    edited.text = "Changed"
    edit_note(note=edited, author=sales)
    filed = Note.objects.get(text="C")
    Attachment.objects.create(
        company=sales.company, lead=ada, note=filed, name="a", size=1, stored_as="a"
    )

    undone = undo(done, sales)

    assert undone.was_undone
    assert {*Note.objects.values_list("text", flat=True)} == {"Changed", "C"}


def test_erasing_a_person_deletes_their_imported_notes(
    sales: Membership, ada: Lead
) -> None:
    run(upload(sales, f"{HEADER}\nSecret,,,ada@example.com,\n"), sales)

    erase_lead(lead=ada)

    assert not Note.objects.exists()
    assert LeadImportRow.objects.get().cells == []


def test_the_page_asks_for_no_owner(
    sales: Membership, ada: Lead, client_as: Any
) -> None:
    checked = upload(sales, f"{HEADER}\nHi,,,ada@example.com,\n")

    page = client_as(sales).get(checked.get_absolute_url()).content.decode()

    assert "Import notes" in page
    assert "1 note is added, 0 updated." in page
    assert "Owner of" not in page
    assert "LinkedIn" not in page.partition("<main")[2]
    report = client_as(sales).get(run(checked, sales).get_absolute_url())
    assert "See the leads" in report.content.decode()
    assert "or has a file," in report.content.decode()


def test_the_statements_of_an_import_do_not_grow_with_its_rows(
    sales: Membership, ada: Lead
) -> None:
    make_deal(ada, title="Fleet")

    def statements(texts: str) -> int:
        lines = "".join(
            f"{text},,2026-07-01,ada@example.com,{deal}\n"
            for text in texts
            for deal in ("", "Fleet")
        )
        with CaptureQueriesContext(connection) as captured:
            run(upload(sales, f"{HEADER}\n{lines}"), sales)
        return len(captured)

    statements("A")
    assert statements("BC") == statements("DEFGHIJKLM")
