"""Exports through the API: asked for by a key, written by a worker, downloaded for a day."""

import csv
import io
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone
from rest_framework.test import APIClient

from crm.api.exports import NO_FILE
from crm.jobs import rounds, runner
from crm.models import (
    ApiKey,
    AuditEntry,
    Company,
    DataExport,
    ExportPart,
    Lead,
    Membership,
    Tag,
)
from crm.models.data_export import KEPT_FOR
from crm.models.roles import Role
from crm.models.tag import add_links
from crm.services import data_exports
from crm.services.rate_limits import SLOT_SECONDS
from tests.conftest import join, make_deal, make_lead, make_task
from tests.crm.api.calling import ADMIN_AND_SALES, caller, with_key
from tests.crm.api.test_saved_views import member

pytestmark = pytest.mark.django_db

URL = "/api/v1/exports/"
LEADS = {"kind": "leads", "format": "csv"}


@pytest.fixture
def script(company: Company) -> APIClient:
    return caller(company, "sales")


def exported(script: APIClient, **asked: Any) -> list[list[str]]:
    """The rows of the requested file, with its header."""
    answer = script.post(URL, {**LEADS, **asked})
    assert answer.status_code == 201, answer.json()
    rounds.work_through(lambda: True)
    content = b"".join(
        script.get(f"{URL}{answer.json()['id']}/content/").streaming_content
    )
    return list(csv.reader(io.StringIO(content.decode(), newline="")))


@pytest.mark.parametrize("role", ["admin", "sales", "ops"])
def test_a_role_may_what_the_matrix_says_and_no_more(
    company: Company, role: str
) -> None:
    make_lead(company)
    client = caller(company, role)

    answers = [client.post(URL, LEADS), client.get(URL)]
    path = f"{URL}{answers[0].json().get('id', 1)}/"
    answers += [
        client.get(path),
        client.get(f"{path}content/"),
        client.post(f"{path}cancel/"),
        client.delete(path),
    ]

    expected = [201, 200, 200, 409, 200, 204] if ADMIN_AND_SALES[role] else [403] * 6
    assert [answer.status_code for answer in answers] == expected
    assert not DataExport.objects.exists()


def test_a_key_asks_for_leads_as_a_saved_view_has_them(
    company: Company, script: APIClient, sales: Membership
) -> None:
    for name in ("Ada", "Bea", "Cid"):
        make_lead(
            company,
            first_name=name,
            last_name="Moss",
            source="Fair",
            phone="=1+1",
            owner=sales.user,
        )
    make_lead(company, first_name="Dan", last_name="Reed", source="Website")

    head, *found = exported(
        script,
        filters={"source": "Fair", "search": "moss"},
        sort="-name",
        columns=["phone"],
    )

    assert head == ["First name", "Last name", "Status", "Phone"]
    assert [(row[0], row[3]) for row in found] == [
        ("Cid", "'=1+1"),
        ("Bea", "'=1+1"),
        ("Ada", "'=1+1"),
    ]
    made = DataExport.objects.get()
    assert (made.made_by, made.api_key) == (None, ApiKey.objects.get())
    entry = AuditEntry.objects.get(action="export")
    assert (entry.actor_kind, entry.actor_id) == ("api_key", made.api_key_id)
    assert entry.details == {
        "what": "leads", "format": "csv", "rows": 3, "columns": "shown", "filters": ["source", "search"],
    }  # fmt: skip


def test_without_columns_a_file_has_all_that_it_can_have(
    company: Company, script: APIClient
) -> None:
    lead = make_lead(company, email="ada@example.com")
    add_links(
        Lead, company.pk, [(lead.pk, Tag.objects.create(company=company, name="VIP"))]
    )

    [head, row] = exported(script)

    found = dict(zip(head, row, strict=True))
    assert (found["E-mail"], found["Tags"]) == ("ada@example.com", "VIP")


def test_deals_tasks_and_organisations_are_exported_as_filtered(
    company: Company, script: APIClient, sales: Membership
) -> None:
    lead = make_lead(company, organisation="Harbour & Sons")
    small, large = (
        make_deal(lead, title="Small", amount=1),
        make_deal(lead, title="Large", amount=2),
    )
    make_deal(make_lead(company, organisation="Other"), title="Third", currency="CHF")
    task = make_task(sales, lead=lead, title="Open")
    make_task(sales, title="Done", done_at=timezone.now())

    deals = exported(
        script,
        kind="deals",
        filters={"search": "harbour"},
        sort="-amount",
        columns=["deal"],
    )
    tasks = exported(
        script,
        kind="tasks",
        filters={"is_done": "false", "lead": str(lead.pk)},
        columns=["task"],
    )
    organisations = exported(
        script,
        kind="organisations",
        filters={"search": "sons"},
        columns=["organisation"],
    )

    assert [row[0] for row in deals] == ["Deal", large.title, small.title]
    assert [row[0] for row in tasks] == ["Task", task.title]
    assert [row[0] for row in organisations] == ["Organisation", "Harbour & Sons"]


@pytest.mark.parametrize(
    ("asked", "errors"),
    [
        ({}, {"kind", "format"}),
        ({"kind": "company", "format": "csv"}, {"kind"}),
        ({"kind": "leads", "format": "zip"}, {"format"}),
        ({**LEADS, "why": 1}, {"why"}),
        ({**LEADS, "sort": "phone"}, {"sort"}),
        ({**LEADS, "columns": ["salary"]}, {"columns"}),
        ({**LEADS, "filters": {"salary": "1"}}, {"filters"}),
        ({**LEADS, "filters": {"status": "999999"}}, {"filters"}),
        ({**LEADS, "filters": {"source": ""}}, {"filters"}),
        (
            {"kind": "deals", "format": "csv", "filters": {"stage": "999999"}},
            {"filters"},
        ),
        (
            {"kind": "deals", "format": "csv", "filters": {"source": "Fair"}},
            {"filters"},
        ),
        ({"kind": "tasks", "format": "csv", "filters": {"search": "x"}}, {"filters"}),
        (
            {"kind": "tasks", "format": "csv", "filters": {"is_done": "yes"}},
            {"filters"},
        ),
        ({"kind": "tasks", "format": "csv", "sort": "task"}, {"sort"}),
        (
            {"kind": "organisations", "format": "csv", "filters": {"name": "x"}},
            {"filters"},
        ),
        (
            {
                "kind": "organisations",
                "format": "csv",
                "filters": {"search": "x" * 101},
            },
            {"filters"},
        ),
    ],
)
def test_what_no_list_has_is_a_400_and_exports_nothing(
    company: Company,
    script: APIClient,
    sales: Membership,
    asked: dict[str, Any],
    errors: set[str],
) -> None:
    make_task(
        sales, lead=make_deal(make_lead(company, organisation="x")).lead, title="x"
    )

    answer = script.post(URL, asked)

    assert (answer.status_code, set(answer.json())) == (400, errors)
    assert not DataExport.objects.exists()


def test_another_companys_filter_values_are_unknown(
    company: Company, other_company: Company, script: APIClient
) -> None:
    make_lead(company)
    theirs = Tag.objects.create(company=other_company, name="VIP")

    assert (
        script.post(URL, {**LEADS, "filters": {"tag": str(theirs.pk)}}).status_code
        == 400
    )


def test_nothing_to_export_is_a_409(script: APIClient) -> None:
    answer = script.post(URL, LEADS)

    assert (answer.status_code, answer.json()["detail"]) == (409, data_exports.NOTHING)


def test_a_repeat_with_its_idempotency_key_asks_for_one_file(
    company: Company, script: APIClient
) -> None:
    make_lead(company)

    first, again = (
        script.post(URL, LEADS, headers={"Idempotency-Key": "nightly"})
        for _ in range(2)
    )

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert DataExport.objects.count() == 1


def test_two_keys_with_the_same_idempotency_key_have_a_file_each(
    company: Company, script: APIClient
) -> None:
    make_lead(company)
    other = caller(company, "sales")

    answers = [
        each.post(URL, LEADS, headers={"Idempotency-Key": "nightly"})
        for each in (script, other, other)
    ]

    assert [answer.status_code for answer in answers] == [201] * 3
    assert answers[0].json()["id"] != answers[1].json()["id"] == answers[2].json()["id"]


def test_too_many_downloads_at_a_time_are_a_429_that_says_when_to_try_again(
    company: Company, script: APIClient
) -> None:
    make_lead(company)
    path = f"{URL}{script.post(URL, LEADS).json()['id']}/content/"
    rounds.work_through(lambda: True)

    open_ones = [script.get(path) for _ in range(2)]
    refused = script.get(path)
    for close in open_ones[0]._resource_closers:
        close()

    assert (refused.status_code, refused["Retry-After"]) == (429, str(SLOT_SECONDS))
    assert refused.json()["detail"].endswith("Wait until one is done, then try again.")
    assert script.get(path).status_code == 200


def test_the_progress_and_the_end_are_read(company: Company, script: APIClient) -> None:
    make_lead(company)
    made = script.post(URL, LEADS).json()
    path = f"{URL}{made['id']}/"

    waiting = script.get(f"{path}content/")
    rounds.work_through(lambda: True)
    done, content = (
        script.get(path).json(),
        script.get(f"{path}content/", headers={"Accept": "text/csv"}),
    )

    assert (made["state"], made["row_count"], made["reached"], made["kept_until"]) == (
        "waiting",
        1,
        0,
        None,
    )
    assert (made["made_by"], made["problem"]) == (None, "")
    assert (waiting.status_code, "not ready" in waiting.json()["detail"]) == (409, True)
    assert (done["state"], done["reached"], done["kept_until"] is None) == (
        "done",
        1,
        False,
    )
    assert (content["Content-Type"], content["Content-Length"]) == (
        "text/csv; charset=utf-8",
        str(done["size"]),
    )
    assert len(b"".join(content.streaming_content)) == done["size"]
    assert script.post(f"{path}cancel/").status_code == 409


def test_a_spreadsheet_is_one(company: Company, script: APIClient) -> None:
    make_lead(company)
    made = script.post(URL, {**LEADS, "format": "xlsx"}).json()
    rounds.work_through(lambda: True)

    answer = script.get(f"{URL}{made['id']}/content/")

    assert answer["Content-Type"].endswith("spreadsheetml.sheet")
    assert b"".join(answer.streaming_content).startswith(b"PK")


def test_a_cancelled_export_leaves_no_file_and_can_be_cancelled_again(
    company: Company, script: APIClient
) -> None:
    make_lead(company)
    path = f"{URL}{script.post(URL, LEADS).json()['id']}/"

    answers = [script.post(f"{path}cancel/") for _ in range(2)]
    rounds.work_through(lambda: True)

    assert [(each.status_code, each.json()["state"]) for each in answers] == [
        (200, "cancelled")
    ] * 2
    assert script.get(f"{path}content/").json()["detail"] == NO_FILE
    assert not ExportPart.objects.exists()


def test_a_key_sees_its_own_and_one_of_an_admin_all_but_the_whole_company(
    company: Company, script: APIClient, admin: Membership
) -> None:
    make_lead(company)
    own = script.post(URL, LEADS).json()["id"]
    whole = DataExport.objects.create(
        company=company, made_by=admin.user, kind="company", format="zip", row_count=1
    )

    def seen(client: APIClient) -> list[int]:
        return [row["id"] for row in client.get(URL).json()["results"]]

    assert seen(script) == seen(caller(company, "admin")) == [own]
    assert seen(caller(company, "sales")) == []
    assert caller(company, "sales").get(f"{URL}{own}/").status_code == 404
    assert caller(company, "admin").get(f"{URL}{whole.pk}/content/").status_code == 404


def test_a_member_exports_by_session_as_on_the_page(
    company: Company, sales: Membership
) -> None:
    make_lead(company)
    session = member(sales)

    made = session.post(URL, LEADS)

    assert (made.status_code, made.json()["made_by"]) == (201, sales.user_id)
    assert DataExport.objects.get().api_key is None


def test_the_file_of_a_key_that_was_revoked_or_is_gone_is_not_written(
    company: Company,
) -> None:
    make_lead(company)
    key, text = ApiKey.objects.issue(company=company, role="sales", name="Nightly")
    made = with_key(text).post(URL, LEADS).json()

    key.revoke()
    rounds.work_through(lambda: True)

    ended = DataExport.objects.get(pk=made["id"])
    assert (ended.state, ended.problem) == ("failed", runner.KEY_NO_LONGER_ALLOWED)
    key.delete()
    assert not DataExport.objects.exists()


def test_after_a_day_the_file_is_gone(company: Company, script: APIClient) -> None:
    make_lead(company)
    path = f"{URL}{script.post(URL, LEADS).json()['id']}/"
    rounds.work_through(lambda: True)

    DataExport.objects.update(finished_at=F("finished_at") - KEPT_FOR)

    assert [
        script.get(path).status_code,
        script.get(f"{path}content/").status_code,
    ] == [404, 404]


def test_too_many_in_a_minute_is_a_429_and_too_many_at_work_a_409(
    company: Company, script: APIClient, settings: Any, one_minute: None
) -> None:
    settings.EXPORTS_PER_MINUTE = 4
    make_lead(company)

    answers = [script.post(URL, LEADS) for _ in range(5)]

    assert [answer.status_code for answer in answers] == [201, 201, 409, 409, 429]
    assert int(answers[-1]["Retry-After"]) >= 1
    assert DataExport.objects.count() == 2


def test_the_pages_show_which_key_asked(
    company: Company, script: APIClient, client_as: Any, admin: Membership
) -> None:
    make_lead(company)
    script.post(URL, LEADS)

    assert (
        str(ApiKey.objects.get()) in client_as(admin).get("/exports/").content.decode()
    )
    other = join(company, Role.SALES, email="other@example.com")
    assert client_as(other).get("/exports/").context["exports"] == []
