"""Files that break importers, through all steps of ours: refused in a sentence, or checked, imported and undone.

`malformed_files` makes a file of each seed. Seeds that break something go into failed_files.txt, and are run first.
"""

import csv
import html
import io
import random
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from crm.data_exchange.importing import reading, storing
from crm.data_exchange.importing.column_readings import unanswered
from crm.data_exchange.importing.reading import LONGEST_CELL, MAX_COLUMNS
from crm.data_exchange.importing.text_formats import DELIMITERS, ENCODINGS, QUOTES
from crm.jobs import rounds, runner
from crm.models import (
    Company,
    Lead,
    LeadImport,
    LeadImportFile,
    LeadImportRow,
    Membership,
    RowOutcome,
    RowProblem,
    RowUndo,
    Tag,
)
from crm.models.job import JobState
from crm.models.roles import Role
from tests.conftest import client_of, join, make_lead
from tests.crm.custom_values import make_field
from tests.crm.data_exchange.importing.choosing import column_fields
from tests.crm.data_exchange.importing.malformed_files import (
    KINDS,
    MAKERS,
    SEED,
    TWISTS,
    MalformedFile,
    keep_seeds,
    kept_seeds,
    malformed_file,
)
from tests.faults import figures

UPLOAD: Final = reverse("lead_imports")
SENTENCE: Final = re.compile(r"[A-Z“].{15,}[.?]", re.DOTALL)
MOST_ROWS: Final = 400
# Into which the tests of very many files are split, to run in parallel.
PARTS: Final = 12

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.EXPORTS_PER_MINUTE = settings.IMPORTS_PER_MINUTE = 10_000
    monkeypatch.setattr(reading, "MAX_ROWS", MOST_ROWS)
    monkeypatch.setattr(storing, "CHUNK", 50)


@pytest.mark.parametrize(
    "part",
    [0, *(pytest.param(part, marks=pytest.mark.thorough) for part in range(1, PARTS))],
)
def test_a_file_of_each_kind_is_refused_in_a_sentence_or_checked(part: int) -> None:
    first = kept_seeds() if part == 0 else []

    assert broken_by([*first, *range(SEED + part, SEED + len(MAKERS), PARTS)]) == {}


@pytest.mark.faults
@pytest.mark.thorough
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(PARTS))
def test_no_malformed_file_breaks_an_import(part: int) -> None:
    count = figures.rounds(KINDS, long=3_000)

    broken = broken_by(range(figures.SEED + part, figures.SEED + count, PARTS))

    keep_seeds([*broken])
    assert broken == {}


def test_there_are_at_least_500_kinds_of_malformed_files() -> None:
    assert len({*MAKERS}) * len(TWISTS) >= 500
    assert len(
        {malformed_file(SEED + len(MAKERS) * at).kind for at in range(len(TWISTS))}
    ) == len(TWISTS)


def broken_by(seeds: Iterable[int]) -> dict[int, str]:
    """The seeds of files that broke something, each with the error."""
    broken = {}
    for file in map(malformed_file, seeds):
        try:
            go_through(file)
        except Exception as error:
            broken[file.seed] = f"{file}: {type(error).__name__}: {error}"
        figures.count("malformed files of leads")
    return broken


def go_through(file: MalformedFile) -> None:
    """Upload the file, choose columns, import the rows and undo the import, as far as it gets."""
    member, dice = somebody(file.seed), random.Random(-file.seed)
    client = client_of(member.user)
    upload = SimpleUploadedFile(file.name, file.content, file.content_type)
    page = client.post(UPLOAD, {"file": upload}, follow=True)
    lead_import = LeadImport.objects.for_company(member.company_id).first()
    if lead_import is None:
        assert_told(page, page.context["form"].errors["file"][0])
        assert_untouched(member)
        return
    page = worked_on(client, lead_import)
    assert_untouched(member)
    if lead_import.state == JobState.FAILED:
        assert_told(page, lead_import.problem)
        assert lead_import.problem != runner.FAILED
        assert not LeadImportRow.objects.of(lead_import).exists()
        return
    assert_checked(lead_import)
    page = choose_format(client, lead_import, dice)
    choose_columns(client, lead_import, page, dice)
    assert_untouched(member)
    run(client, lead_import, dice)
    if dice.random() < 0.5:
        undo(client, lead_import, member)


def somebody(seed: int) -> Membership:
    """A member of a new company, which has a lead, a tag and custom fields."""
    company = Company.objects.create(
        name=f"Company {seed}", slug=f"company-{seed}", grace_seconds=0
    )
    Tag.objects.create(company=company, name="VIP")
    for kind in ("number", "date", "money", "choice"):
        make_field(company, kind, kind)
    make_lead(company, email="ada@example.com")
    return join(company, Role.SALES, email=f"sales{seed}@example.com")


def worked_on(client: Client, lead_import: LeadImport) -> Any:
    """The page of the import, after a worker has done its part."""
    rounds.work_through(lambda: True)
    lead_import.refresh_from_db()
    assert not lead_import.is_at_work
    has_file = lead_import.state == JobState.PAUSED and bool(lead_import.file_format)
    assert LeadImportFile.objects.filter(lead_import=lead_import).exists() == has_file
    page = client.get(lead_import.get_absolute_url())
    assert page.status_code == 200
    return page


def assert_told(page: Any, problem: str) -> None:
    """Assert that the page shows the problem, in a sentence."""
    assert page.status_code == 200
    assert SENTENCE.fullmatch(problem), problem
    assert problem in html.unescape(page.content.decode())


def assert_untouched(member: Membership) -> None:
    assert list(
        Lead.objects.for_company(member.company).values_list("first_name", "last_name")
    ) == [("Ada", "")]


def assert_checked(lead_import: LeadImport) -> None:
    rows = list(LeadImportRow.objects.of(lead_import))
    assert lead_import.state == JobState.PAUSED
    assert 0 < len(rows) == lead_import.row_count <= MOST_ROWS
    assert sum(lead_import.planned.get(outcome, 0) for outcome in RowOutcome) == len(
        rows
    )
    assert (
        len(set(lead_import.header))
        == len(lead_import.header)
        == len(lead_import.columns)
        <= MAX_COLUMNS
    )
    assert all(len(cell) <= LONGEST_CELL for row in rows for cell in row.cells)
    assert all(
        RowProblem(row.problem).label for row in rows if row.outcome == RowOutcome.BAD
    )


def choose_format(client: Client, lead_import: LeadImport, dice: random.Random) -> Any:
    """Read the file again in a random format. Whatever it makes of the file, the import can still be started."""
    if lead_import.file_format and dice.random() < 0.5:
        chosen = {
            "encoding": dice.choice([*ENCODINGS]),
            "delimiter": dice.choice([*DELIMITERS]),
            "quote": dice.choice([*QUOTES]),
        }
        address = reverse("lead_import_format", args=[lead_import.pk])
        assert client.get(address, chosen).status_code == 200
        client.post(address, chosen)
    rounds.work_through(lambda: True)
    lead_import.refresh_from_db()
    assert_checked(lead_import)
    return client.get(lead_import.get_absolute_url())


def choose_columns(
    client: Client, lead_import: LeadImport, page: Any, dice: random.Random
) -> None:
    """Choose random fields for the columns. The choice is refused in a sentence, or the file is checked again."""
    fields = page.context["columns_form"].fields
    choices = [name for name, _ in fields["column_0"].choices if name]
    dice.shuffle(choices)
    chosen = {
        name: choices.pop() if choices and dice.random() < 0.8 else ""
        for name in fields
    }
    if dice.random() < 0.7:
        chosen[dice.choice(list(fields))] = dice.choice(
            ["first_name", "last_name", "full_name"]
        )
    chosen["preset"] = dice.choice(["", "", "hubspot", "zoho", "x"])
    page = client.post(
        reverse("lead_import_columns", args=[lead_import.pk]), chosen, follow=True
    )
    if (
        page.context
        and page.context.get("columns_form")
        and page.context["columns_form"].non_field_errors()
    ):
        assert_told(page, page.context["columns_form"].non_field_errors()[0])
    worked_on(client, lead_import)
    assert_checked(lead_import)
    bad = LeadImportRow.objects.of(lead_import).filter(outcome=RowOutcome.BAD).first()
    page = client.get(lead_import.get_absolute_url(), {"outcome": "bad"})
    assert page.status_code == 200
    assert bad is None or RowProblem(bad.problem).label in html.unescape(
        page.content.decode()
    )


def answer(client: Client, lead_import: LeadImport) -> None:
    """Say how each column is read whose values can be read in two ways: until then the import can't be started."""
    if not unanswered(lead_import):
        return
    client.post(reverse("lead_import_start", args=[lead_import.pk]), {"tell": "no"})
    page = worked_on(client, lead_import)
    assert lead_import.state == JobState.PAUSED
    fields = page.context["columns_form"].fields
    answers = {
        name: field.choices[-1][0]
        for name, field in fields.items()
        if name.startswith("convention_")
    }
    address = reverse("lead_import_columns", args=[lead_import.pk])
    client.post(address, {**column_fields(lead_import), **answers})
    worked_on(client, lead_import)
    assert not unanswered(lead_import)


def run(client: Client, lead_import: LeadImport, dice: random.Random) -> None:
    answer(client, lead_import)
    client.post(
        reverse("lead_import_start", args=[lead_import.pk]),
        {"tell": dice.choice(["yes", "no"])},
    )
    page = worked_on(client, lead_import)
    assert lead_import.state == JobState.DONE, lead_import.problem
    assert lead_import.done == lead_import.planned
    assert "Import finished" in page.content.decode()
    company, new, bad = (
        lead_import.company_id,
        lead_import.done.get("new", 0),
        lead_import.done.get("bad", 0),
    )
    assert Lead.objects.for_company(company).count() == 1 + new
    for address in (
        reverse("leads"),
        Lead.objects.for_company(company)[0].get_absolute_url(),
    ):
        assert client.get(address).status_code == 200
    assert len(list(bad_rows(client, lead_import))) == bad


def bad_rows(client: Client, lead_import: LeadImport) -> Iterator[list[str]]:
    """The rows of the file with the bad rows, which people correct, without its header."""
    answer = client.post(reverse("lead_import_bad_rows", args=[lead_import.pk]))
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert len(next(lines)) == len(lead_import.header) + 1
    yield from lines


def undo(client: Client, lead_import: LeadImport, member: Membership) -> None:
    client.post(reverse("lead_import_undo", args=[lead_import.pk]))
    worked_on(client, lead_import)
    assert lead_import.was_undone
    rows = LeadImportRow.objects.of(lead_import)
    assert not rows.filter(undo=RowUndo.KEPT).exists()
    assert Lead.objects.for_company(member.company).count() == 1
