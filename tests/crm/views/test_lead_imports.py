"""The pages of an import: what people see and choose, without a script and for each state."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.html import strip_tags

from crm.accounts.bodies import UPLOAD_PATHS
from crm.jobs import rounds
from crm.models import (
    AuditEntry,
    ImportStep,
    Lead,
    LeadImport,
    LeadImportFile,
    LeadImportRow,
    Membership,
)
from crm.models.job import JobState
from crm.services import lead_imports
from crm.services.erasure import erase_lead
from tests.conftest import make_lead, make_note
from tests.crm.data_exchange.importing.spreadsheet_files import text_row, xlsx
from tests.crm.data_exchange.importing.test_archives import OURS, packed
from tests.crm.data_exchange.importing.uploading import (
    HEADER,
    PEOPLE,
    run,
    upload,
    work_on,
)

pytestmark = pytest.mark.django_db

UPLOAD = reverse("lead_imports")


@pytest.fixture
def client(client_as: Callable[[Membership], Client], sales: Membership) -> Client:
    return client_as(sales)


def send(client: Client, content: bytes, name: str = "leads.csv") -> Any:
    return client.post(UPLOAD, {"file": SimpleUploadedFile(name, content)}, follow=True)


def do(client: Client, lead_import: LeadImport, what: str, **values: str) -> str:
    address = reverse(f"lead_import_{what}", args=[lead_import.pk])
    return client.post(address, values, follow=True).content.decode()


def text_of(page: Any) -> str:
    return re.sub(r"\s+", " ", strip_tags(page.content.decode()))


def test_the_address_that_the_web_server_knows_is_the_pages() -> None:
    assert UPLOAD_PATHS.fullmatch(UPLOAD)


def test_too_many_uploads_are_refused_in_a_sentence(
    client: Client,
    sales: Membership,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    one_minute: None,
) -> None:
    settings.IMPORTS_PER_MINUTE = 6
    monkeypatch.setattr(lead_imports, "SMALL_FILE", 0)  # a worker reads them

    pages = [send(client, PEOPLE.encode()).content.decode() for _ in range(7)]

    assert [lead_imports.WAIT in page for page in pages] == [False] * 5 + [True, False]
    assert "Your company may do this 6 times a minute." in pages[-1]
    assert LeadImport.objects.count() == 5


def test_from_the_file_to_the_report(client: Client, sales: Membership) -> None:
    page = send(client, PEOPLE.encode() + b",,bad@,,,\n").content.decode()
    lead_import = LeadImport.objects.get()

    assert "What will happen" in page
    assert "Name is missing" in page
    assert "There is nothing to send" in page
    page = do(client, lead_import, "start", tell="no", owner=str(sales.user_id))
    assert "You can leave this page" in page
    work_on(lead_import)
    page = client.get(lead_import.get_absolute_url()).content.decode()
    assert "Import finished" in page
    assert "Nothing is sent to LinkedIn, as you chose." in page
    assert set(Lead.objects.values_list("owner", flat=True)) == {sales.user_id}
    assert AuditEntry.objects.get(action="import").details == {
        "object": "leads",
        "rows": 4,
        "tells_ad_platforms": False,
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [("Ada", "Bad0Left outLeads"), ("", "Bad1Left out, by reason:Name is missing")],
)
def test_reasons_are_announced_only_if_there_are_some(
    client: Client, name: str, words: str
) -> None:
    page = text_of(
        send(client, f"First name,E-mail\n{name},ada@example.com\n".encode())
    )

    assert words in page
    assert ("by reason" in page) == ("by reason" in words)


def test_the_bad_rows_come_back_with_their_reasons_and_without_formulas(
    client: Client, sales: Membership
) -> None:
    done = run(upload(sales, f"{HEADER},=cmd\n,,bad@,+31 6 1234,=1+1,,x\n"), sales)

    answer = client.post(reverse("lead_import_bad_rows", args=[done.pk]))

    lines = b"".join(answer.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert lines == [
        "First name,Last name,E-mail,Phone,Company,Job title,'=cmd,Reason",
        ",,bad@,'+31 6 1234,'=1+1,,x,Name is missing",
    ]


def test_rows_that_were_corrected_in_our_file_are_imported(
    client: Client, sales: Membership
) -> None:
    run(
        upload(
            sales,
            f"{HEADER},Reason\nAda,B,good@example.com,'+31 6 1234,,,E-mail address is invalid\n",
        ),
        sales,
    )

    assert Lead.objects.get().phone == "+31 6 1234"


def test_another_choice_of_columns_is_checked_again(
    client: Client, sales: Membership
) -> None:
    lead_import = upload(sales, "Wer,Wo\nAda,ada@example.com\n")
    assert lead_import.planned == {"bad": 1, "bad:name_missing": 1}

    page = do(client, lead_import, "columns", column_0="first_name", column_1="email")

    lead_import.refresh_from_db()
    assert lead_import.planned == {"new": 1, "lead_created": 1}
    assert "Chosen" in page


EXCEL = "Vorname;Nachname;Wer\nInés;Núñez;Lefèvre\n".encode("cp1252")


def test_the_page_says_how_the_file_was_read_and_shows_what_another_choice_makes_of_names(
    client: Client, sales: Membership
) -> None:
    lead_import = upload(sales, EXCEL)
    address = reverse("lead_import_format", args=[lead_import.pk])
    choice = {"encoding": "cp1250", "delimiter": ";", "quote": '"'}

    checked = text_of(client.get(lead_import.get_absolute_url()))
    before, after = (text_of(client.get(address, asked)) for asked in ({}, choice))
    part = client.get(address, choice, headers={"HX-Request": "true"}).content.decode()

    assert "Read as Windows-1252, semicolons. Change" in checked
    assert "InésNúñezLefèvre" in before
    assert "InésNúńezLefčvre" in after
    assert "Núńez" in part
    assert "<html" not in part
    assert LeadImportRow.objects.get().cells == ["Inés", "Núñez", "Lefèvre"]


def test_the_file_is_read_again_as_chosen_and_its_columns_stay_as_they_were_mapped(
    client: Client, sales: Membership
) -> None:
    lead_import = upload(sales, EXCEL)
    do(
        client,
        lead_import,
        "columns",
        column_0="first_name",
        column_1="last_name",
        column_2="organisation",
    )

    page = do(
        client, lead_import, "format", encoding="mac_roman", delimiter=";", quote='"'
    )

    lead_import.refresh_from_db()
    assert "Read as Mac Roman, semicolons." in page
    assert lead_import.columns == ["first_name", "last_name", "organisation"]
    assert LeadImportRow.objects.get().cells == EXCEL.decode("mac_roman").splitlines()[
        1
    ].split(";")
    assert (lead_import.state, lead_import.planned["new"], lead_import.row_count) == (
        "paused",
        1,
        1,
    )


def test_a_choice_that_makes_no_table_changes_nothing(
    client: Client, sales: Membership
) -> None:
    lead_import = upload(sales, EXCEL)

    page = do(
        client, lead_import, "format", encoding="utf-16-le", delimiter=";", quote=""
    )

    lead_import.refresh_from_db()
    assert "It can&#x27;t be read in the format that you chose. This file" in page
    assert lead_import.state == JobState.PAUSED
    assert LeadImportRow.objects.get().cells == ["Inés", "Núñez", "Lefèvre"]
    assert LeadImportFile.objects.exists()


@pytest.mark.parametrize(
    "choice", [{"encoding": "rot13"}, {"delimiter": "x"}, {"quote": "`"}]
)
def test_a_format_that_is_not_offered_is_refused(
    client: Client, sales: Membership, choice: dict[str, str]
) -> None:
    lead_import = upload(sales, EXCEL)

    page = do(
        client,
        lead_import,
        "format",
        **{"encoding": "cp1252", "delimiter": ";", "quote": '"', **choice},
    )

    assert "Select a valid choice" in page
    assert LeadImport.objects.get().state == JobState.PAUSED


def test_the_file_is_gone_once_the_import_starts_or_someone_is_erased(
    client: Client, sales: Membership
) -> None:
    started, checked, sheet = (
        upload(sales, EXCEL),
        upload(sales, EXCEL),
        upload(sales, xlsx(text_row(1, "Name", "X"))),
    )
    lead_imports.start(
        lead_import=started, owner=None, tells_platforms=False, actor=sales.user
    )
    assert set(LeadImportFile.objects.values_list("lead_import", flat=True)) == {
        checked.pk
    }

    erase_lead(lead=make_lead(sales.company))

    assert not LeadImportFile.objects.exists()
    page = client.get(reverse("lead_import_format", args=[checked.pk]), follow=True)
    assert page.redirect_chain == [(checked.get_absolute_url(), 302)]
    assert reverse("lead_import_format", args=[checked.pk]) not in page.content.decode()
    assert sheet.state == JobState.FAILED


def test_columns_of_an_upload_that_is_deleted_at_this_moment_are_a_404(
    client: Client, sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_import, done = (
        upload(sales, "Wer,Wo\nAda,ada@example.com\n"),
        lead_imports.map_columns,
    )

    def deleted_first(**asked: Any) -> LeadImport:
        LeadImport.objects.all().delete()
        return done(**asked)

    monkeypatch.setattr(lead_imports, "map_columns", deleted_first)

    values = {"column_0": "first_name", "column_1": "email"}
    answer = client.post(reverse("lead_import_columns", args=[lead_import.pk]), values)

    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (
            {"column_0": "email", "column_1": "email"},
            "“E-mail” is chosen for two columns",
        ),
        ({"column_0": "", "column_1": "email"}, "a lead needs a first or a last name"),
        ({"column_0": "is_staff", "column_1": "email"}, "Select a valid choice"),
    ],
)
def test_columns_that_make_no_lead_are_refused_in_a_sentence(
    client: Client, sales: Membership, columns: dict[str, str], sentence: str
) -> None:
    lead_import = upload(sales, "Wer,Wo\nAda,ada@example.com\n")

    page = do(client, lead_import, "columns", **columns)

    assert sentence in page or "a lead needs" in page
    assert LeadImport.objects.get().columns == lead_import.columns


def test_conversions_are_told_before_they_are_chosen(
    client: Client, sales: Membership, token: Any, make_rule: Any
) -> None:
    make_rule("lead_created", name="Form sent")
    make_rule("lead_qualified", name="Good one")
    lead_import = upload(
        sales, "Name,E-mail,Status\nAda B,a@example.com,Qualified\nIda B,,\n"
    )

    page = client.get(lead_import.get_absolute_url()).content.decode()

    assert "Yes: 3 conversions under 2 rules (Form sent, Good one)" in page
    assert "1 is sent once the lead has an e-mail address" in page
    do(client, lead_import, "start", tell="yes")
    lead_import.refresh_from_db()
    assert lead_import.tells_platforms


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"", "empty"), (b"%PDF-1.7", "PDF"), (b"name\n", "no rows below")],
)
def test_a_file_that_is_none_is_refused_in_a_sentence(
    client: Client, content: bytes, sentence: str
) -> None:
    assert sentence in send(client, content).content.decode()
    assert not Lead.objects.exists()


def test_a_file_needs_choosing(client: Client) -> None:
    assert "Choose the file to import." in client.post(UPLOAD, {}).content.decode()


def test_a_large_file_is_left_to_a_worker(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lead_imports, "SMALL_FILE", 10)

    page = send(client, PEOPLE.encode()).content.decode()

    assert "Reading the file" in page
    assert LeadImport.objects.get().step == ImportStep.READING
    rounds.work_through(lambda: True)
    assert LeadImport.objects.get().state == JobState.PAUSED


def test_a_small_file_with_many_rows_is_left_to_a_worker(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lead_imports, "CHUNK", 1)

    pages = [
        send(client, b"Name\n" + b"Ada\n" * rows).content.decode() for rows in (3, 4)
    ]

    assert ["Reading the file" in page for page in pages] == [False, True]
    assert not LeadImportRow.objects.filter(
        lead_import__step=ImportStep.READING
    ).exists()
    rounds.work_through(lambda: True)
    assert set(LeadImport.objects.values_list("state", "row_count")) == {
        ("paused", 3),
        ("paused", 4),
    }


def test_undo_from_the_report(client: Client, sales: Membership) -> None:
    done = run(upload(sales, PEOPLE), sales)

    do(client, done, "undo")
    work_on(done)

    page = client.get(done.get_absolute_url()).content.decode()
    assert "3 new leads were removed" in page
    assert AuditEntry.objects.filter(action="import_undone").count() == 1


def test_what_the_undo_leaves_and_why(client: Client, sales: Membership) -> None:
    done = run(upload(sales, PEOPLE), sales)
    make_note(sales, Lead.objects.get(first_name="Ines"))
    before = text_of(client.get(done.get_absolute_url()))
    do(client, done, "undo")
    work_on(done)

    page = text_of(client.get(done.get_absolute_url()))

    assert (
        "A new lead that was changed by then, or has a deal, task, note or file, stays."
        in before
    )
    assert (
        "1 stayed, because someone has changed it since, or added a deal, task, note or file."
        in page
    )


def test_after_seven_days_no_undo_is_offered_and_a_page_left_open_says_so(
    client: Client, sales: Membership
) -> None:
    done = run(upload(sales, PEOPLE), sales)
    LeadImport.objects.filter(pk=done.pk).update(
        finished_at=timezone.now() - timedelta(days=8)
    )

    page = client.get(done.get_absolute_url()).content.decode()

    assert "Undo this import" not in page
    assert "This import can no longer be undone." in do(client, done, "undo")
    assert Lead.objects.count() == 3


def test_another_file_deletes_the_one_before(client: Client, sales: Membership) -> None:
    lead_import = upload(sales, PEOPLE)

    do(client, lead_import, "discard")

    assert not LeadImport.objects.exists()


def test_what_was_started_can_t_be_discarded(client: Client, sales: Membership) -> None:
    done = run(upload(sales, PEOPLE), sales)

    do(client, done, "discard")

    assert LeadImport.objects.exists()


def test_the_preview_shows_a_likely_typo_and_imports_what_the_file_says(
    client: Client, sales: Membership
) -> None:
    lead_import = upload(sales, "Name,E-mail\nAda B,ada@gmial.com\n")

    page = client.get(lead_import.get_absolute_url()).content.decode()
    run(lead_import, sales)

    assert "Did you mean ada@gmail.com?" in page
    assert Lead.objects.get().email == "ada@gmial.com"


@pytest.mark.parametrize(
    "outcome", ["", "new", "update", "duplicate", "bad", "nonsense"]
)
def test_the_preview_takes_as_many_queries_for_each_outcome(
    client: Client, sales: Membership, outcome: str, django_assert_max_num_queries: Any
) -> None:
    lead_import = upload(sales, PEOPLE * 20)

    with django_assert_max_num_queries(24):
        page = client.get(f"{lead_import.get_absolute_url()}?outcome={outcome}")

    assert page.status_code == 200


def test_a_zip_archive_says_what_to_do_instead(client: Client) -> None:
    for files, said in (({"photo.png": b"."}, "Unpack it"), (OURS, "in this order")):
        file = SimpleUploadedFile("company.zip", packed(files))

        page = client.post(UPLOAD, {"file": file})

        assert said in page.content.decode()
    assert not LeadImport.objects.exists()
