"""An erasure reaches the rows of imports, whatever their outcome, and files that are still unread."""

import csv
import io
import threading
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, models

from crm.data_exchange.importing import storing, work
from crm.models import (
    ImportStep,
    Lead,
    LeadImport,
    LeadImportFile,
    LeadImportRow,
    Membership,
)
from crm.models.job import JobState
from crm.models.roles import Role
from crm.services import erasure, lead_imports
from crm.services.erasure import erase_lead
from tests.capi.delivery.test_result_stands import somebody_waits
from tests.conftest import join, make_lead
from tests.crm.data_exchange.importing.uploading import (
    HEADER,
    PEOPLE,
    names,
    run,
    upload,
    work_on,
)
from tests.faults.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True)

ADA = "Ada,Müller,ada@example.com,+31 6 1234 5678,Orchard,Buyer"
TRACES = ("Ada", "Müller", "ada@example.com", "5678")


def traces() -> list[str]:
    stored = repr(list(LeadImportRow.objects.values_list("cells", "filled", "key")))
    return [text for text in TRACES if text in stored]


def test_the_rows_about_a_person_are_emptied_wherever_they_are(
    sales: Membership,
) -> None:
    imported = run(upload(sales, f"{PEOPLE}{ADA}\n{ADA}\n"), sales)
    upload(
        sales,
        f"{HEADER}\n{ADA}\nAda,Müller,ada@,,,\nAda,Müller,,+31 612345678,,\n,,ADA@EXAMPLE.COM,,,\n",
    )
    assert traces()

    erase_lead(lead=Lead.objects.get(first_name="Ada"))

    assert traces() == []
    assert (
        LeadImportRow.objects.filter(lead_import=imported).exclude(cells=[]).count()
        == 3
    )


AWKWARD = [
    ('Ada "Countess"', "King"), ("Ada\\Byron", "100%_"), ("Zo\u00eb", "Mu\u0308ller"), ("=SUM", "@x"),
    ("\u05e9\u05dc\u05d5\u05dd", "\u05db\u05d4\u05df"),
    ("\U0001f98a", "\U0001f43b\u200d\u2744\ufe0f"), ("Li", "Wu"),
]  # fmt: skip


@pytest.mark.parametrize("names", AWKWARD, ids=repr)
@pytest.mark.parametrize(
    "spelled",
    [
        lambda first, last: [first, last, "no address"],
        lambda first, last: [f"{last}, {first}", "", "no address"],
        lambda first, last: [
            unicodedata.normalize("NFD", first),
            unicodedata.normalize("NFC", last),
            "no address",
        ],
        lambda first, last: [first.upper(), f"  {last.lower()} ", "no address"],
        lambda first, last: ["", "", f"{first}   {last} <no address>"],
    ],
    ids=["plain", "last name first", "composition", "case and blanks", "one cell"],
)
def test_a_row_is_found_however_the_name_is_spelled(
    sales: Membership, names: tuple[str, str], spelled: Callable[[str, str], list[str]]
) -> None:
    lead = Lead(
        company=sales.company,
        first_name=names[0],
        last_name=names[1],
        email="x@example.com",
    )
    lead.save()
    table = io.StringIO()
    csv.writer(table).writerows(
        [
            HEADER.split(",")[:3],
            spelled(*names),
            ["Grace", "Hopper", "no address either"],
        ]
    )
    upload(sales, table.getvalue())

    erase_lead(lead=lead)

    assert [row.cells[:1] for row in LeadImportRow.objects.all()] == [[], ["Grace"]]


@pytest.mark.parametrize("unseen", ["\u00ad", "\u200b", "\u200e", "\ufeff"])
def test_a_row_with_unseen_characters_is_found(sales: Membership, unseen: str) -> None:
    ada = make_lead(
        sales.company, last_name="Lovelace", email="ada@example.com", phone=""
    )
    rows = [
        f"Ada,Love{unseen}lace,,,,",
        f"A.,L.,ada@exam{unseen}ple.com,,,",
        "Grace,Hopper,g@example.com,,,",
    ]
    upload(sales, "\n".join([HEADER, *rows]))

    erase_lead(lead=ada)

    assert [row.cells[:1] for row in LeadImportRow.objects.order_by("number")] == [
        [],
        [],
        ["Grace"],
    ]


def test_a_row_with_the_number_and_a_part_of_the_name_is_found(
    sales: Membership,
) -> None:
    ada = make_lead(sales.company, last_name="M\u00fcller", phone="+31 6 1234 5678")
    upload(sales, f"{HEADER}\nA. Muller,,,0612345678,,\nGrace,Hopper,,06-12345678,,\n")

    erase_lead(lead=ada)

    assert [row.cells[:1] for row in LeadImportRow.objects.all()] == [[], ["Grace"]]


def test_rows_of_others_stay_whose_names_only_contain_the_name(
    sales: Membership,
) -> None:
    lead = make_lead(sales.company, first_name="Li", last_name="Wu", email="")
    upload(
        sales,
        f"{HEADER}\nLisa,Wuthering,lisa@example.com,,,\nLi,Bai,li@example.com,,,\n",
    )

    erase_lead(lead=lead)

    assert [row.cells[0] for row in LeadImportRow.objects.all()] == ["Lisa", "Li"]


@pytest.mark.parametrize(
    ("file", "is_named"),
    [
        ("Ada Lovelace.csv", True), ("leads of LOVELACE.csv", True), ("ada@example.com.csv", True),
        ("call 06-12345678.csv", True), ("adapters.csv", False), ("leads.csv", False),
    ],
)  # fmt: skip
def test_the_name_of_a_file_loses_the_person(
    sales: Membership, file: str, is_named: bool
) -> None:
    ada = make_lead(sales.company, last_name="Lovelace", phone="+31 6 12345678")
    done = run(upload(sales, f"{PEOPLE}", file), sales)

    erase_lead(lead=ada)

    done.refresh_from_db()
    assert done.file_name == (f"Import {done.pk}" if is_named else file)


@pytest.mark.parametrize(
    ("header", "left"),
    [
        (
            "First name,E-mail,Called by Lovelace,Plan",
            ["First name", "E-mail", "Column 3", "Column 4"],
        ),
        (
            "First name,E-mail,Called by,Plan",
            ["First name", "E-mail", "Called by", "Plan"],
        ),
        (
            "Ada,Lovelace,Countess,Reads Babbage",
            ["Column 1", "Column 2", "Column 3", "Column 4"],
        ),
    ],
)
def test_the_names_of_columns_lose_the_person_and_with_a_row_all_of_it(
    sales: Membership, header: str, left: list[str]
) -> None:
    ada = make_lead(sales.company, last_name="Lovelace")
    done = upload(sales, f"{header}\nGrace,grace@example.com,,\n")
    columns = done.columns

    erase_lead(lead=ada)

    done.refresh_from_db()
    assert (done.header, done.columns) == (left, columns)


def test_a_note_about_the_file_that_names_the_person_goes(sales: Membership) -> None:
    ada = make_lead(sales.company, last_name="Lovelace")
    done = upload(sales, PEOPLE)
    notes = [
        "The file has 2 sheets, of which \u201cAda Lovelace\u201d is read.",
        "The columns are separated by commas.",
    ]
    LeadImport.objects.update(notes=notes)

    erase_lead(lead=ada)

    done.refresh_from_db()
    assert done.notes == notes[1:]


def test_imports_of_other_companies_stay(sales: Membership, other_company: Any) -> None:
    theirs = join(other_company, Role.SALES, email="theirs@example.com")
    upload(theirs, f"{HEADER}\n{ADA}\n", "Ada M\u00fcller.csv")

    erase_lead(lead=make_lead(sales.company, last_name="M\u00fcller"))

    assert LeadImport.objects.get().file_name == "Ada M\u00fcller.csv"
    assert traces()


def test_each_column_of_a_row_that_may_hold_a_text_is_emptied(
    sales: Membership,
) -> None:
    """A new column has to be emptied, or be listed here because it holds no text of the file."""
    harmless = {"outcome", "problem", "undo"}
    upload(sales, f"{HEADER}\n{ADA}\n")
    kinds = (models.CharField, models.TextField, models.JSONField, models.BinaryField)
    texts = [
        field
        for field in LeadImportRow._meta.fields
        if isinstance(field, kinds) and field.name not in harmless
    ]

    LeadImportRow.objects.for_company(sales.company).forget()

    row = LeadImportRow.objects.get()
    assert {field.name: getattr(row, field.name) for field in texts} == {
        field.name: field.get_default() for field in texts
    }


def test_an_upload_that_was_checked_before_brings_nobody_back(
    sales: Membership,
) -> None:
    run(upload(sales, f"{HEADER}\n{ADA}\n"), sales)
    checked = upload(sales, f"{PEOPLE}{ADA}\n")

    erase_lead(lead=Lead.objects.get(first_name="Ada"))
    done = run(checked, sales)

    assert done.done["bad:erased"] == 1
    assert "Ada Müller" not in names()


def test_a_file_that_was_not_read_yet_is_dropped(sales: Membership) -> None:
    run(upload(sales, f"{HEADER}\n{ADA}\n"), sales)
    file = SimpleUploadedFile("leads.csv", ADA.encode() * 10_000)
    unread = lead_imports.upload(company=sales.company, file=file, actor=sales.user)
    assert unread.step == ImportStep.READING

    erase_lead(lead=Lead.objects.get())

    assert work_on(unread).state == JobState.FAILED
    assert "Someone was erased" in unread.problem
    assert not LeadImportFile.objects.exists()


def test_undo_leaves_an_erased_lead_as_it_is(sales: Membership) -> None:
    done = run(upload(sales, f"{PEOPLE}{ADA}\n"), sales)
    erase_lead(lead=Lead.objects.get(first_name="Ada"))

    lead_imports.undo(lead_import=done, actor=sales.user)
    work_on(done)

    assert Lead.objects.get().erased_at is not None


def test_an_import_that_waits_for_the_erasure_brings_nobody_back(
    sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "CHUNK", 2)
    ada = make_lead(sales.company, last_name="Müller", title="")
    lead_import = upload(sales, f"{PEOPLE}{ADA}\n")
    assert lead_imports.start(
        lead_import=lead_import, owner=None, tells_platforms=False, actor=sales.user
    )
    finish, is_under_way = erasure._forget_in_admin_log, threading.Event()

    def finish_later(*about: Any) -> None:
        is_under_way.set()
        wait_for(
            somebody_waits, seconds=30, told="The import has come to wait for the lead."
        )
        finish(*about)

    def erase() -> None:
        erase_lead(lead=ada)
        connection.close()

    monkeypatch.setattr(erasure, "_forget_in_admin_log", finish_later)
    erasing = threading.Thread(target=erase)
    erasing.start()
    assert is_under_way.wait(30)
    done = work_on(lead_import)
    erasing.join()

    assert done.done["bad:erased"] == 1
    assert "Ada Müller" not in names()
    assert traces() == []


def test_a_check_leaves_rows_empty_that_an_erasure_has_emptied_meanwhile(
    sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_lead(sales.company, last_name="Müller", phone="")
    save_rows = work.save_rows
    checked = upload(sales, f"{HEADER}\n{ADA}\n")
    assert checked.planned["update"] == 1

    def save_later(*judged: Any) -> None:
        # As `forget_person` does.
        LeadImportRow.objects.update(cells=[], key="", filled={})
        save_rows(*judged)

    monkeypatch.setattr(work, "save_rows", save_later)
    lead_imports.map_columns(lead_import=checked, columns=[*checked.columns[:-1], ""])

    assert LeadImportRow.objects.values_list("cells", "key", "filled").get() == (
        [],
        "",
        {},
    )
