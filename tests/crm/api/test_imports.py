"""Imports through the API: a file is uploaded, checked by a worker, started, and undone."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from capi.models import ConversionEvent
from crm.api.imports import NO_FILE, NOT_READY, NOT_RUNNING, NOTHING_TO_UNDO, STARTED
from crm.jobs import rounds
from crm.models import (
    ApiKey,
    AuditEntry,
    Change,
    Company,
    CrmEvent,
    Lead,
    LeadImport,
    Membership,
)
from crm.services import lead_imports
from tests.conftest import make_lead
from tests.crm.api.calling import ADMIN_AND_SALES, caller
from tests.crm.api.test_saved_views import member
from tests.crm.custom_values import make_field
from tests.crm.data_exchange.importing.uploading import PEOPLE, run, upload

pytestmark = pytest.mark.django_db

URL = "/api/v1/imports/"
BAD = "First name,E-mail,Phone\nIda,ida@example.com,\n,not an address,1\n,x@example.com,\n,a@b.example,1,2\n"


@pytest.fixture
def script(company: Company) -> APIClient:
    return caller(company, "sales")


def send(script: APIClient, text: str = PEOPLE, key: str = "", **fields: Any) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    file = SimpleUploadedFile("leads.csv", text.encode())
    return script.post(
        URL, {"file": file, **fields}, format="multipart", headers=headers
    )


def sent(script: APIClient, text: str = PEOPLE) -> str:
    """The address of an import whose file has been read and checked."""
    answer = send(script, text)
    assert answer.status_code == 201, answer.json()
    rounds.work_through(lambda: True)
    return f"{URL}{answer.json()['id']}/"


@pytest.mark.parametrize("role", ["admin", "sales", "ops"])
def test_a_role_may_what_the_matrix_says_and_no_more(
    company: Company, sales: Membership, role: str
) -> None:
    client, path = caller(company, role), f"{URL}{upload(sales, PEOPLE).pk}/"

    answers = [
        client.get(URL),
        client.get(path),
        client.get(f"{path}bad-rows/"),
        send(client),
    ]
    answers += [
        client.post(f"{path}{step}/", {})
        for step in ("columns", "cancel", "undo", "start")
    ]
    answers.append(client.delete(path))

    expected = (
        [200, 200, 200, 201, 400, 409, 409, 200, 409]
        if ADMIN_AND_SALES[role]
        else [403] * 9
    )
    assert [answer.status_code for answer in answers] == expected


def test_a_key_uploads_starts_and_undoes_an_import(
    script: APIClient, company: Company, connected: Any
) -> None:
    added = send(script).json()
    rounds.work_through(lambda: True)
    path = f"{URL}{added['id']}/"
    checked = script.get(path).json()

    started = script.post(f"{path}start/", {})
    rounds.work_through(lambda: True)
    done = script.get(path).json()

    key = ApiKey.objects.get()
    assert (added["step"], added["file_name"], added["made_by"]) == (
        "reading",
        "leads.csv",
        None,
    )
    assert (checked["state"], checked["row_count"], checked["planned"]["new"]) == (
        "paused",
        3,
        3,
    )
    assert [
        {key: column[key] for key in ("name", "field")}
        for column in checked["columns"][:3]
    ] == [
        {"name": "First name", "field": "first_name"},
        {"name": "Last name", "field": "last_name"},
        {"name": "E-mail", "field": "email"},
    ]
    assert (
        started.status_code,
        started.json()["state"],
        started.json()["tells_platforms"],
    ) == (200, "waiting", False)
    assert (done["state"], done["done"]["new"], done["undo_until"] is None) == (
        "done",
        3,
        False,
    )
    assert Lead.objects.filter(owner=None).count() == 3
    assert {event.api_key for event in CrmEvent.objects.all()} == {key}
    assert not ConversionEvent.objects.exists()
    assert script.post(f"{path}undo/").json()["step"] == "undoing"
    rounds.work_through(lambda: True)
    assert (script.get(path).json()["state"], script.get(path).json()["step"]) == (
        "done",
        "undoing",
    )
    assert not Lead.objects.exists()
    actors = AuditEntry.objects.filter(
        action__in=["import", "import_undone"]
    ).values_list("actor_kind", "actor_id")
    assert list(actors) == [("api_key", key.pk)] * 2
    assert not Change.objects.exists()


def test_ad_platforms_are_told_of_new_leads_only_if_that_is_said(
    script: APIClient, company: Company, connected: Any, make_rule: Any
) -> None:
    rule = make_rule(crm_event="lead_created")
    path = sent(script)

    expected = script.get(path).json()["conversions"]
    answer = script.post(f"{path}start/", {"tells_platforms": True}).json()
    rounds.work_through(lambda: True)

    assert [(each["rule"], each["now"], each["later"]) for each in expected] == [
        (rule.name, 2, 1)
    ]
    assert answer["tells_platforms"] is True
    assert ConversionEvent.objects.count() == 3


def test_the_owner_is_a_colleague(
    script: APIClient, sales: Membership, other_company: Company
) -> None:
    path = sent(script)

    strange = script.post(f"{path}start/", {"owner": 999_999})
    script.post(f"{path}start/", {"owner": sales.user_id})
    rounds.work_through(lambda: True)

    assert (strange.status_code, set(strange.json())) == (400, {"owner"})
    assert Lead.objects.filter(owner=sales.user).count() == 3


def test_the_columns_are_said_and_the_rows_checked_again(script: APIClient) -> None:
    path = sent(script, "Who,Where\nAda,Harbour Freight\n")

    answer = script.post(f"{path}columns/", {"columns": ["first_name", "organisation"]})
    rounds.work_through(lambda: True)
    script.post(f"{path}start/", {})
    rounds.work_through(lambda: True)

    assert (answer.status_code, [each["field"] for each in answer.json()["columns"]]) == (
        200, ["first_name", "organisation"],
    )  # fmt: skip
    assert Lead.objects.get().organisation == "Harbour Freight"
    assert (
        script.post(f"{path}columns/", {"columns": ["first_name", ""]}).json()["detail"]
        == NOT_READY
    )


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["first_name"], "each of the 2 columns"),
        (["first_name", "salary"], "Choose from: first_name"),
        (["first_name", "first_name"], "chosen for two columns"),
        (["", "email"], "needs a first or a last name"),
        ("first_name", "Enter a list"),
    ],
)
def test_columns_that_no_lead_has_are_a_400(
    script: APIClient, columns: Any, message: str
) -> None:
    path = sent(script, "Who,Where\nAda,Harbour Freight\n")

    answer = script.post(f"{path}columns/", {"columns": columns})

    assert (answer.status_code, message in str(answer.json()["columns"])) == (400, True)


def test_the_totals_say_why_rows_are_bad_and_those_are_read_page_by_page(
    script: APIClient,
) -> None:
    path = sent(script, BAD)

    bad = script.get(path).json()["planned"]
    first = script.get(f"{path}bad-rows/", {"page_size": 2}).json()
    rest = script.get(first["next"]).json()

    assert (bad["new"], bad["bad"]) == (1, 3)
    assert {each["problem"]: each["rows"] for each in bad["problems"]} == {
        "name_missing": 2,
        "too_many_cells": 1,
    }
    assert first["results"] == [
        {
            "number": 3,
            "cells": ["", "not an address", "1"],
            "problem": "name_missing",
            "column": 0,
        },
        {
            "number": 4,
            "cells": ["", "x@example.com"],
            "problem": "name_missing",
            "column": 0,
        },
    ]
    assert [row["number"] for row in rest["results"]] == [5]
    assert script.get(f"{path}bad-rows/", {"outcome": "new"}).status_code == 400


@pytest.mark.parametrize(
    ("text", "fields", "field"),
    [
        ("", {}, "file"),
        (PEOPLE, {"owner": 1}, "owner"),
        (PEOPLE, {"file": "text"}, "file"),
    ],
)
def test_what_is_no_file_is_a_400_and_nothing_is_kept(
    script: APIClient, text: str, fields: dict[str, Any], field: str
) -> None:
    answer = send(script, text, **fields)

    assert (answer.status_code, set(answer.json())) == (400, {field})
    assert not LeadImport.objects.exists()


def test_a_repeat_with_its_idempotency_key_uploads_one_file(script: APIClient) -> None:
    first, again = (send(script, key="nightly") for _ in range(2))
    other = send(script, BAD, key="nightly")

    assert first.json() == again.json() != other.json()
    assert LeadImport.objects.count() == 2


def test_five_files_of_a_company_wait_to_be_read_and_checked_and_no_more(
    script: APIClient, company: Company, other_company: Company
) -> None:
    answers = [send(caller(company, "sales")) for _ in range(7)]
    theirs = send(caller(other_company, "sales"))
    repeated = [send(script, key="nightly").status_code]
    rounds.work_through(lambda: True)
    repeated.append(send(script, key="nightly").status_code)

    assert [answer.status_code for answer in answers] == [201] * 5 + [409] * 2
    assert answers[-1].json()["detail"] == lead_imports.WAIT
    assert theirs.status_code == 201
    assert repeated == [409, 201]
    assert LeadImport.objects.for_company(company).count() == 6


@pytest.mark.usefixtures("one_minute")
def test_too_many_files_in_a_minute_are_a_429_and_a_repeat_is_none(
    script: APIClient, settings: Any
) -> None:
    settings.IMPORTS_PER_MINUTE = 2

    answers = [send(script, key=key) for key in ("a", "a", "b", "c")]

    assert [answer.status_code for answer in answers] == [201, 201, 201, 429]
    assert int(answers[-1]["Retry-After"]) >= 1
    assert LeadImport.objects.count() == 2


def test_what_can_not_be_done_now_is_a_409_that_says_why(script: APIClient) -> None:
    path = f"{URL}{send(script).json()['id']}/"

    unread = script.post(f"{path}start/", {})
    rounds.work_through(lambda: True)
    undone, cancelled = script.post(f"{path}undo/"), script.post(f"{path}cancel/")
    other = sent(script, BAD)
    script.post(f"{path}start/", {})
    second, deleted = script.post(f"{other}start/", {}), script.delete(path)

    assert [
        answer.status_code for answer in (unread, undone, cancelled, second, deleted)
    ] == [409] * 5
    assert [answer.json()["detail"] for answer in (unread, undone, cancelled, deleted)] == [
        NOT_READY, NOTHING_TO_UNDO, NOT_RUNNING, STARTED,
    ]  # fmt: skip


@pytest.mark.parametrize("step", ["columns", "start", "cancel", "undo"])
def test_an_import_that_is_deleted_at_this_moment_is_a_404(
    script: APIClient, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = sent(script)
    service = "map_columns" if step == "columns" else step
    done = getattr(lead_imports, service)

    def deleted_first(*, lead_import: LeadImport, **asked: Any) -> Any:
        LeadImport.objects.all().delete()
        return done(lead_import=lead_import, **asked) or True

    monkeypatch.setattr(lead_imports, service, deleted_first)

    body = {"columns": ["full_name", *[""] * 5]} if step == "columns" else {}
    assert script.post(f"{path}{step}/", body).status_code == 404


def test_an_import_is_cancelled_while_it_runs_and_an_upload_deleted(
    script: APIClient,
) -> None:
    path, other = sent(script), sent(script, BAD)
    script.post(f"{path}start/", {})

    answer = script.post(f"{path}cancel/")

    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert script.delete(other).status_code == 204
    assert not Lead.objects.exists()


def test_another_companys_import_is_a_404(
    sales: Membership, other_company: Company
) -> None:
    theirs, path = caller(other_company, "admin"), f"{URL}{upload(sales, BAD).pk}/"

    answers = [theirs.get(path), theirs.get(f"{path}bad-rows/"), theirs.delete(path)]
    answers += [
        theirs.post(f"{path}{step}/", {})
        for step in ("columns", "start", "cancel", "undo")
    ]

    assert [answer.status_code for answer in answers] == [404] * 7
    assert theirs.get(URL).json()["results"] == []


def test_a_list_of_imports_takes_as_many_queries_as_one(
    script: APIClient, sales: Membership
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            answer = script.get(URL)
        assert {each["made_by"] for each in answer.json()["results"]} == {sales.user_id}
        return len(captured)

    run(upload(sales, PEOPLE), sales)
    script.get(URL)  # the first request with a key notes when it was used
    one = queries()
    for _ in range(2):
        run(upload(sales, PEOPLE), sales)

    assert queries() == one
    assert LeadImport.objects.count() == 3


def test_a_member_uploads_by_session_and_gets_the_leads(sales: Membership) -> None:
    session = member(sales)
    path = sent(session)

    session.post(f"{path}start/", {})
    rounds.work_through(lambda: True)

    assert Lead.objects.filter(owner=sales.user).count() == 3
    assert make_lead(sales.company).owner is None


def test_the_pages_show_which_key_has_uploaded_a_file(
    script: APIClient, sales: Membership, client_as: Any
) -> None:
    path = sent(script)
    script.post(f"{path}start/", {})

    for page in ("/leads/import/", LeadImport.objects.get().get_absolute_url()):
        assert str(ApiKey.objects.get()) in client_as(sales).get(page).content.decode()


def test_a_file_is_read_again_in_the_format_that_is_chosen(
    script: APIClient, sales: Membership
) -> None:
    saved = upload(sales, "Name;E-mail\nNúñez;n@example.com\n".encode("cp1252"))
    path = f"{URL}{saved.pk}/"
    assert script.get(path).json()["file_format"] == {
        "encoding": "cp1252",
        "delimiter": ";",
        "quote": '"',
    }

    again = script.post(f"{path}format/", {"encoding": "cp1250"}).json()
    refused = script.post(f"{path}format/", {"encoding": "ebcdic"})
    script.post(f"{path}start/", {})
    rounds.work_through(lambda: True)
    late = script.post(f"{path}format/", {"encoding": "cp1252"})

    assert again["file_format"] == {
        "encoding": "cp1250",
        "delimiter": ";",
        "quote": '"',
    }
    assert Lead.objects.get().first_name == "Núńez"
    assert (refused.status_code, list(refused.json())) == (400, ["encoding"])
    assert (late.status_code, late.json()) == (409, {"detail": NO_FILE})


def test_a_script_answers_how_a_column_is_read_before_it_starts(
    script: APIClient, sales: Membership
) -> None:
    make_field(sales.company, "Places", "number")
    path = f"{URL}{upload(sales, 'First name;Places' + chr(10) + 'Ada;1.200').pk}/"
    asked = script.get(path).json()["columns"][1]

    early = script.post(f"{path}start/", {})
    columns = ["first_name", "custom.places"]
    wrong = script.post(
        f"{path}columns/",
        {"columns": columns, "readings": [{}, {"convention": "day"}]},
        format="json",
    )
    body = {"columns": columns, "readings": [{}, {"convention": "comma"}]}
    answered = script.post(f"{path}columns/", body, format="json").json()["columns"][1]
    script.post(f"{path}start/", {})
    rounds.work_through(lambda: True)

    assert (asked["needs_answer"], asked["convention"], early.status_code) == (
        True,
        "",
        409,
    )
    assert (wrong.status_code, list(wrong.json())) == (400, ["readings"])
    assert (answered["needs_answer"], answered["convention"]) == (False, "comma")
    assert Lead.objects.get().custom == {"places": "1200"}


def test_cells_that_are_left_out_are_counted_and_listed(
    script: APIClient, sales: Membership
) -> None:
    path = f"{URL}{upload(sales, 'First name,Status' + chr(10) + 'Ada,Hot').pk}/"

    planned, listed = (
        script.get(path).json()["planned"],
        script.get(f"{path}cells/").json()["results"],
    )

    assert (planned["new"], planned["bad"]) == (1, 0)
    assert planned["cells"] == [
        {
            "column": 1,
            "name": "Status",
            "problem": "status_unknown",
            "cells": 1,
            "is_stored": False,
        }
    ]
    cell = {
        "column": 1,
        "name": "Status",
        "value": "Hot",
        "problem": "status_unknown",
        "stored": "",
    }
    assert listed == [{"number": 2, "lead": None, "cells": [cell]}]


@pytest.mark.parametrize(("role", "status"), [("admin", 200), ("sales", 400)])
def test_only_an_admin_s_key_may_choose_to_add_tags(
    company: Company, sales: Membership, role: str, status: int
) -> None:
    path = f"{URL}{upload(sales, 'First name,Tags' + chr(10) + 'Ada,VIP').pk}/"
    body = {
        "columns": ["first_name", "tags"],
        "readings": [{}, {"otherwise": "create"}],
    }

    assert (
        caller(company, role).post(f"{path}columns/", body, format="json").status_code
        == status
    )


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "lead"),
        ({"object": "deal"}, "deal"),
        ({"object": "task"}, "task"),
        ({"object": "note"}, "note"),
    ],
)
def test_a_script_says_what_its_file_holds_or_it_is_guessed(
    script: APIClient, fields: dict[str, str], expected: str
) -> None:
    added = send(script, "Name,E-mail\nFleet,ada@example.com\n", **fields).json()
    assert added["object"] == fields.get("object", "")

    rounds.work_through(lambda: True)

    checked = script.get(f"{URL}{added['id']}/").json()
    assert checked["object"] == expected


def test_an_object_that_can_not_be_imported_is_a_400(script: APIClient) -> None:
    assert send(script, object="invoice").status_code == 400
    assert not LeadImport.objects.exists()
