"""Exports of tasks and of organisations: as their pages list them, by the same code as those of leads and deals."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from crm.data_exchange.exporting import list_rows
from crm.jobs import rounds
from crm.lists.organisations import oldest_leads
from crm.models import AuditEntry, DataExport, Membership, Task
from crm.models.roles import Role
from crm.services import data_exports
from crm.services.lead_merges import merge_leads
from crm.services.searches import remember_search
from tests.conftest import join, make_deal, make_lead
from tests.crm.data_exchange.exporting.reading import ask, rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(client_as: Callable[[Membership], Client], sales: Membership) -> Client:
    return client_as(sales)


def make_task(member: Membership, **fields: Any) -> Task:
    return Task.objects.create(
        **{
            "company": member.company,
            "owner": member.user,
            "title": "Call",
            "due_on": date(2027, 1, 31),
            **fields,
        }
    )


def cells(client: Client, made: DataExport) -> list[dict[str, str]]:
    head, *found = rows(client, made)
    return [dict(zip(head, row, strict=True)) for row in found]


def test_the_tasks_are_the_members_own_that_are_open_in_the_order_of_the_page(
    client: Client, sales: Membership
) -> None:
    make_task(sales, title="Third", due_on=date(2027, 2, 1))
    make_task(sales, title="Second")
    make_task(sales, title="First", due_time=time(14, 30), kind="call")
    make_task(sales, title="Done", done_at=timezone.now())
    make_task(
        join(sales.company, Role.SALES, email="other@example.com"),
        title="Someone else's",
    )

    head, *found = rows(client, ask(client, "task_export"))

    assert head == ["Task", "Kind", "Due", "Time", "Lead", "Organisation", "Deal"]
    assert [row[:4] for row in found] == [
        ["First", "Call", "2027-01-31", "14:30:00"],
        ["Second", "Task", "2027-01-31", ""],
        ["Third", "Task", "2027-02-01", ""],
    ]


def test_the_tasks_that_are_done_have_when(client: Client, sales: Membership) -> None:
    done = make_task(sales, done_at=timezone.now())
    make_task(sales)

    [found] = cells(client, ask(client, "task_export", "?done=1"))

    assert done.done_at is not None
    assert datetime.fromisoformat(found["Done"]) == done.done_at.replace(microsecond=0)


def test_all_columns_of_tasks_have_the_person_that_they_are_about(
    client: Client, sales: Membership
) -> None:
    lead = make_lead(
        sales.company,
        first_name="Ada",
        last_name="Moss",
        email="ada@example.com",
        phone="+31 6 1234",
    )
    deal = make_deal(lead, title="=1+1")
    task = make_task(sales, title="@SUM(1)", deal=deal)
    make_task(sales, due_on=date(2027, 2, 1))

    found, alone = cells(client, ask(client, "task_export", columns="all"))

    assert (found["Task number"], found["Lead number"], found["Deal number"]) == tuple(
        str(row.pk) for row in (task, lead, deal)
    )
    assert (found["Task"], found["Deal"], found["Phone"]) == (
        "'@SUM(1)",
        "'=1+1",
        "'+31 6 1234",
    )
    assert (found["Lead"], found["E-mail"], found["May be shared"]) == (
        "Ada Moss",
        "ada@example.com",
        "yes",
    )
    assert (found["Owner"], found["Reminder"]) == (str(sales.user), "no")
    assert {
        alone[column]
        for column in ("Lead", "Lead number", "E-mail", "May be shared", "Deal")
    } == {""}


def test_the_organisations_are_those_of_the_page_with_its_figures(
    client: Client, sales: Membership
) -> None:
    company = sales.company
    first = make_lead(company, organisation="=Nordwind AG")
    make_lead(company, organisation="=NORDWIND AG")
    make_lead(company, organisation="Ärzte")
    make_lead(company, organisation="")
    make_deal(first, amount=Decimal("1200.50"), currency="EUR")
    make_deal(first, amount=Decimal("300"), currency="CHF")

    head, *found = rows(client, ask(client, "organisation_export", columns="all"))

    assert head[:5] == [
        "Organisation",
        "Leads",
        "Has more leads",
        "Open deals",
        "Amount",
    ]
    assert [row[:5] for row in found] == [
        ["'=Nordwind AG", "2", "no", "2", "300.00 CHF, 1200.50 EUR"],
        ["Ärzte", "1", "no", "0", ""],
    ]
    assert found[0][-1] == str(first.pk)


def test_a_search_for_organisations_misses_none_for_a_common_word(
    client: Client, sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crm.selectors.organisations.SEARCHED_AT_MOST", 1)
    monkeypatch.setattr("crm.lists.organisations.WALKED_AT_ONCE", 2)
    for name in (
        "Kestrel Aviation",
        "Aviation of Ghent",
        "Harbour & Sons",
        "Blue Aviation",
    ):
        make_lead(sales.company, organisation=name)

    made = ask(
        client, "organisation_export", f"?search={remember_search(sales, 'aviation')}"
    )

    assert [row["Organisation"] for row in cells(client, made)] == [
        "Aviation of Ghent", "Blue Aviation", "Kestrel Aviation",
    ]  # fmt: skip


def test_a_search_for_organisations_that_no_longer_works_exports_nothing(
    client: Client, sales: Membership
) -> None:
    make_lead(sales.company, organisation="Harbour & Sons")

    answer = client.post(
        f"{reverse('organisation_export')}?search=gone", {"format": "csv"}, follow=True
    )

    assert "a filter of this list no longer works" in answer.content.decode()
    assert not DataExport.objects.exists()


def test_organisations_are_walked_for_an_export_alone_and_not_while_the_company_is_busy(
    client: Client, sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_exports, "CHUNKS_AT_ONCE", 0)
    make_lead(sales.company, organisation="Moss Ltd")
    walked = []

    def walk(*asked: Any) -> Iterator[int]:
        walked.append(asked)
        yield from oldest_leads(*asked)

    monkeypatch.setattr("crm.lists.organisations.oldest_leads", walk)

    page = client.get(reverse("organisation_export")).content.decode()
    assert walked == []
    for _ in range(data_exports.AT_A_TIME):
        ask(client, "organisation_export")
    refused = client.post(
        reverse("organisation_export"),
        {"format": "csv", "columns": "shown"},
        follow=True,
    )

    assert "disabled" not in page
    assert data_exports.BUSY in refused.content.decode()
    assert len(walked) == data_exports.AT_A_TIME


@pytest.mark.parametrize(
    ("query", "words"),
    [("", "1 task, filtered by open"), ("?done=1", "2 tasks, filtered by done")],
)
def test_the_page_says_which_tasks_it_exports(
    client: Client, sales: Membership, query: str, words: str
) -> None:
    make_task(sales)
    for _ in range(2):
        make_task(sales, done_at=timezone.now())

    page = client.get(reverse("task_export") + query).content.decode()

    assert words in " ".join(page.split())


def test_an_organisation_that_is_gone_when_its_chunk_is_written_has_no_row_and_none_has_two(
    client: Client, sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_exports, "CHUNKS_AT_ONCE", 0)
    kept, renamed, gone = (
        make_lead(sales.company, organisation=name)
        for name in ("Ada Ltd", "Bea Ltd", "Cid Ltd")
    )
    made = ask(client, "organisation_export")

    renamed.organisation = "ADA Ltd"
    renamed.save()
    merge_leads(kept=kept, gone=gone)
    rounds.work_through(lambda: True)

    assert [row["Organisation"] for row in cells(client, made)] == ["Ada Ltd"]


@pytest.mark.parametrize(
    ("page", "query", "details"),
    [
        ("task_export", "", {"what": "tasks", "filters": ["open"]}),
        (
            "organisation_export",
            "?search={search}",
            {"what": "organisations", "filters": ["search"]},
        ),
    ],
)
def test_the_export_is_in_the_audit_log(
    client: Client, sales: Membership, page: str, query: str, details: dict[str, Any]
) -> None:
    make_task(sales, lead=make_lead(sales.company, organisation="Moss Ltd"))

    ask(client, page, query.format(search=remember_search(sales, "moss")))

    entry = AuditEntry.objects.get(action="export")
    assert entry.details == {"format": "csv", "rows": 1, "columns": "shown", **details}


@pytest.mark.parametrize(
    ("page", "can_be"),
    [("lead_export", True), ("task_export", False), ("deal_export", False)],
)
def test_only_a_file_of_leads_is_said_to_be_for_an_import(
    client: Client, page: str, can_be: bool
) -> None:
    content = client.get(reverse(page)).content.decode()

    assert [
        text in content for text in ("for importing it again", "an import removes it")
    ] == [can_be, can_be]


@pytest.mark.parametrize("page", ["task_export", "organisation_export"])
def test_a_chunk_of_many_rows_takes_as_many_queries_as_one_of_a_few(
    client: Client, sales: Membership, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    monkeypatch.setattr(data_exports, "CHUNKS_AT_ONCE", 0)

    def queries(count: int) -> int:
        for number in range(count):
            deal = make_deal(
                make_lead(sales.company, organisation=f"Firm {number}"),
                owner=sales.user,
            )
            make_task(sales, deal=deal)
            make_task(sales, lead=deal.lead)
        made = ask(client, page, columns="all")
        with CaptureQueriesContext(connection) as captured:
            list_rows.next_rows(made, 10)
        return len(captured)

    assert queries(1) == queries(5)
