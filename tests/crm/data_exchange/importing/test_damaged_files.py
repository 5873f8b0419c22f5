"""Good files of each object that were damaged, uploaded on the page and through the API.

No answer is an error of the server, no row is written in part, and an import counts what it wrote.
"""

import random
from collections.abc import Mapping
from typing import Any, Final

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from crm.jobs import rounds, runner
from crm.models import (
    Deal,
    Lead,
    LeadImport,
    LeadImportFile,
    LeadImportRow,
    Membership,
    Note,
    RowOutcome,
    Task,
)
from crm.models.job import JobState
from tests.conftest import client_of
from tests.crm.api.calling import caller
from tests.crm.data_exchange.importing.damaged_files import (
    GOOD_TABLES,
    KINDS,
    DamagedFile,
    damaged_file,
)
from tests.crm.data_exchange.importing.test_malformed_files import (
    SENTENCE,
    answer,
    somebody,
)
from tests.size import sized

PARTS: Final = 5
FILES: Final = sized(500, small=25)
# Steps that share no factor with the number of kinds: a few files already have each object and format.
STEP: Final = 67
MODELS: Final[Mapping[str, type[Model]]] = {
    "lead": Lead,
    "deal": Deal,
    "task": Task,
    "note": Note,
}

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sized]


@pytest.fixture(autouse=True)
def _many_uploads(settings: Any) -> None:
    settings.IMPORTS_PER_MINUTE = settings.IMPORTS_PER_HOUR = 10_000


def test_there_is_a_file_of_each_object_format_and_damage() -> None:
    files = [damaged_file(seed) for seed in range(KINDS)]

    assert len({(file.subject, file.name, file.damage) for file in files}) == KINDS
    assert all(file == damaged_file(file.seed) for file in files)


@pytest.mark.timeout(540)
@pytest.mark.parametrize("part", range(PARTS))
def test_no_damaged_file_breaks_an_import_or_writes_a_row_in_part(part: int) -> None:
    broken = {}
    for number in range(part, FILES, PARTS):
        file = damaged_file(number * STEP)
        try:
            go_through(file)
        except Exception as error:
            broken[file.label] = f"{type(error).__name__}: {error}"

    assert broken == {}


def go_through(file: DamagedFile) -> None:
    """Upload the file, start the import and undo it, as far as it gets."""
    member = somebody(file.seed)
    before = counts(member)
    client, script = client_of(member.user), caller(member.company, "sales")
    by_page = random.Random(-file.seed).random() < 0.5
    refusal = upload_page(client, file) if by_page else upload_api(script, file)
    lead_import = LeadImport.objects.for_company(member.company_id).first()
    assert counts(member) == before
    if lead_import is None:
        assert SENTENCE.fullmatch(refusal), refusal
        return
    work_on(lead_import)
    assert counts(member) == before
    if lead_import.state == JobState.FAILED:
        assert_refused(lead_import)
        return
    answer(client, lead_import)
    start(client if by_page else script, lead_import)
    if lead_import.state == JobState.DONE:
        assert_whole(lead_import, before)
        undo(client if by_page else script, lead_import)
    assert counts(member) == before


def upload_page(client: Client, file: DamagedFile) -> str:
    """Upload the file as a browser does. Returns the refusal, or an empty text."""
    upload = SimpleUploadedFile(file.name, file.content)
    page = client.post(reverse("lead_imports"), {"file": upload}, follow=True)
    assert page.status_code == 200
    form = page.context.get("form")
    return "" if form is None or not form.errors else form.errors["file"][0]


def upload_api(script: APIClient, file: DamagedFile) -> str:
    """Upload the file as a script does. Returns the refusal, or an empty text."""
    upload = SimpleUploadedFile(file.name, file.content)
    body = {"file": upload, "object": file.subject}
    answer = script.post("/api/v1/imports/", body, format="multipart")
    assert answer.status_code in (201, 400), answer.content
    return "" if answer.status_code == 201 else answer.json()["file"][0]


def work_on(lead_import: LeadImport) -> None:
    rounds.work_through(lambda: True)
    lead_import.refresh_from_db()
    assert not lead_import.is_at_work
    assert lead_import.problem != runner.FAILED


def start(client: Client | APIClient, lead_import: LeadImport) -> None:
    is_script = isinstance(client, APIClient)
    post(
        client,
        lead_import,
        "start",
        {"tells_platforms": False} if is_script else {"tell": "no"},
    )
    work_on(lead_import)


def undo(client: Client | APIClient, lead_import: LeadImport) -> None:
    post(client, lead_import, "undo", {})
    work_on(lead_import)


def post(
    client: Client | APIClient, lead_import: LeadImport, step: str, data: Any
) -> None:
    """Post to a step of the import, on the page or through the API. Each may refuse it, and neither may break."""
    if isinstance(client, APIClient):
        address = f"/api/v1/imports/{lead_import.pk}/{step}/"
        answer: Any = client.post(address, data)
        assert answer.status_code in (200, 409), answer.content
    else:
        address = reverse(f"lead_import_{step}", args=[lead_import.pk])
        page = client.post(address, data, follow=True)
        assert page.status_code == 200


def assert_refused(lead_import: LeadImport) -> None:
    assert SENTENCE.fullmatch(lead_import.problem), lead_import.problem
    assert not LeadImportRow.objects.of(lead_import).exists()
    assert not LeadImportFile.objects.filter(lead_import=lead_import).exists()


def assert_whole(lead_import: LeadImport, before: dict[str, int]) -> None:
    """Assert that each new row has a record, no other row has, and undamaged rows have all their values in it."""
    assert lead_import.done == lead_import.planned
    rows = list(LeadImportRow.objects.of(lead_import))
    new = [row for row in rows if row.outcome == RowOutcome.NEW]
    after = counts_of(lead_import.company_id)
    subject = lead_import.subject
    assert lead_import.done.get("new", 0) == len(new)
    assert after[subject] == before[subject] + len(new)
    for row in new:
        written = record_of(lead_import, row)
        if is_undamaged(lead_import, row):
            assert shown(written) == tuple(row.cells)
    for row in rows:
        if row.outcome == RowOutcome.BAD:
            assert row.record_id is None


def record_of(lead_import: LeadImport, row: LeadImportRow) -> Any:
    key = row.lead_id if lead_import.subject == "lead" else row.record_id
    model: Any = MODELS[lead_import.subject]
    return model.objects.for_company(lead_import.company_id).get(pk=key)


def is_undamaged(lead_import: LeadImport, row: LeadImportRow) -> bool:
    """Whether the row has the cells that it had before the file was damaged, below the same header."""
    good = GOOD_TABLES[lead_import.subject]
    cells = tuple(row.cells)
    return tuple(lead_import.header) == good.header and cells in good.rows[1:]


def shown(record: Any) -> tuple[str, ...]:
    """The values of the record, as the cells of a good row have them."""
    match record:
        case Lead():
            tags = " ".join(record.tags.values_list("name", flat=True))
            fields = (record.first_name, record.last_name, record.email)
            return (*fields, record.organisation, tags, record.notes)
        case Deal():
            tags = " ".join(record.tags.values_list("name", flat=True))
            fields = (record.title, record.lead.email, f"{record.amount:.0f}")
            return (*fields, record.currency, f"{record.expected_close}", tags)
        case Task():
            assert record.lead is not None
            kind = record.get_kind_display()
            return (record.title, f"{record.due_on}", record.lead.email, kind)
        case _:
            kind = record.get_kind_display()
            time = f"{record.created_at:%Y-%m-%dT%H:%M:%SZ}"
            return (record.text, kind, time, record.lead.email)


def counts(member: Membership) -> dict[str, int]:
    return counts_of(member.company_id)


def counts_of(company: int) -> dict[str, int]:
    """How many records of each object the company has."""
    models: dict[str, Any] = dict(MODELS)
    return {
        subject: model.objects.for_company(company).count()
        for subject, model in models.items()
    }
