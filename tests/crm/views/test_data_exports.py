"""Exports of lists: as filtered, sorted and shown, short ones at once and long ones by a worker."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db.models import F
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from crm.data_exchange.exporting import list_rows, work
from crm.jobs import rounds, runner
from crm.models import (
    AuditEntry,
    CustomField,
    DataExport,
    ExportPart,
    Lead,
    LeadStatus,
    Membership,
    Tag,
)
from crm.models.roles import Role
from crm.models.tag import add_links
from crm.selectors.data_exports import FileGone
from crm.services import data_exports
from crm.services.custom_fields import add_field, set_archived
from crm.services.searches import remember_search
from tests.conftest import join, make_deal, make_lead
from tests.crm.data_exchange.exporting.reading import ask, content, rows
from tests.crm.data_exchange.importing.uploading import run, upload

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(client_as: Callable[[Membership], Client], sales: Membership) -> Client:
    return client_as(sales)


def made_at_once(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Lets a worker write the exports that have more chunks than this, of two rows each."""
    monkeypatch.setattr(list_rows, "CHUNK", 2)
    monkeypatch.setattr(data_exports, "CHUNKS_AT_ONCE", count)


def test_the_rows_are_those_of_the_page_in_its_order(
    client: Client, sales: Membership
) -> None:
    for name in ("Ada", "Bea", "Cid"):
        make_lead(
            sales.company,
            first_name=name,
            last_name="Moss",
            source="Fair",
            owner=sales.user,
        )
    make_lead(sales.company, first_name="Dan", last_name="Reed", source="Website")
    search = remember_search(sales, "moss")

    made = ask(
        client, query=f"?source=Fair&search={search}&sort=-name&owner={sales.user_id}"
    )

    head, *found = rows(client, made)
    assert head == [
        "First name",
        "Last name",
        "Status",
        "Organisation",
        "Owner",
        "Source",
        "Created",
    ]
    assert [row[0] for row in found] == ["Cid", "Bea", "Ada"]
    assert made.row_count == 3


@pytest.mark.parametrize(
    "sort", ["", "name", "-status", "status", "owner", "-owner", "created"]
)
def test_each_order_is_that_of_the_page(
    client: Client, sales: Membership, sort: str
) -> None:
    statuses = list(LeadStatus.objects.for_company(sales.company))
    for number in range(6):
        owner = sales.user if number % 2 else None
        make_lead(
            sales.company,
            first_name=f"P{number % 4}",
            status=statuses[number % 3],
            owner=owner,
        )

    page = client.get(reverse("leads"), {"sort": sort}).context["page"]
    made = ask(client, query=f"?sort={sort}", columns="all")

    assert [row[0] for row in rows(client, made)[1:]] == [str(lead.pk) for lead in page]


def test_all_columns_have_what_the_page_has_not(
    client: Client, sales: Membership
) -> None:
    company = sales.company
    field = CustomField(company=company, subject="lead", name="Budget", type="number")
    add_field(field=field)
    lead = make_lead(
        company, first_name="Ada", last_name="Müller", email="ada@example.com", phone="+31 6 1234",
        share_with_ad_platforms=False, notes="a;=1+1", custom={field.key: "-1250.5"},
    )  # fmt: skip
    tags = [Tag.objects.create(company=company, name=name) for name in ("VIP", "Fair")]
    add_links(Lead, company.pk, [(lead.pk, tag) for tag in tags])

    [head, row] = rows(client, ask(client, columns="all"))

    found = dict(zip(head, row, strict=True))
    assert found["E-mail"] == "ada@example.com"
    assert found["Phone"] == "'+31 6 1234"
    assert found["May be shared"] == "no"
    assert found["Background"] == "a;'=1+1"
    assert found["Budget"] == "-1250.5"
    assert sorted(found["Tags"].split(", ")) == ["Fair", "VIP"]
    assert datetime.fromisoformat(found["Created"]) == lead.created_at.replace(
        microsecond=0
    )


def test_the_columns_are_those_of_the_saved_view_and_the_members_own(
    client: Client, sales: Membership
) -> None:
    make_lead(sales.company)
    sales.lead_columns = "phone title"
    sales.save()

    assert rows(client, ask(client))[0] == [
        "First name",
        "Last name",
        "Status",
        "Phone",
        "Job title",
    ]


def test_deals_are_exported_as_listed(client: Client, sales: Membership) -> None:
    lead = make_lead(sales.company, first_name="Ada", last_name="Moss")
    make_deal(lead, title="Small", amount="100.00", currency="EUR")
    make_deal(lead, title="=Large", amount="2000.00", currency="EUR")

    head, *found = rows(client, ask(client, "deal_export", "?sort=-amount"))

    assert head == [
        "Deal",
        "Stage",
        "Lead",
        "Organisation",
        "Owner",
        "Expected close",
        "Amount",
        "Currency",
    ]
    assert [(row[0], row[2], row[6], row[7]) for row in found] == [
        ("'=Large", "Ada Moss", "2000.00", "EUR"),
        ("Small", "Ada Moss", "100.00", "EUR"),
    ]


def test_the_audit_log_names_the_filters_and_not_what_they_are_about(
    client: Client, sales: Membership
) -> None:
    make_lead(sales.company, last_name="Moss", source="Referred by Ada")
    search = remember_search(sales, "moss")

    ask(client, query=f"?search={search}&source=Referred+by+Ada")

    entry = AuditEntry.objects.get(action="export")
    assert entry.details == {
        "what": "leads", "format": "csv", "rows": 1, "columns": "shown", "filters": ["search", "source"],
    }  # fmt: skip
    assert entry.actor_id == sales.user_id


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("lead_export", "?status=999999"),
        ("lead_export", "?search=gone"),
        ("lead_export", "?custom_gone=1"),
        ("deal_export", "?search=gone"),
        ("deal_export", "?stage=999999"),
    ],
)
def test_a_filter_that_no_longer_works_exports_nothing_instead_of_everything(
    client: Client, sales: Membership, page: str, query: str
) -> None:
    make_deal(make_lead(sales.company))

    answer = client.post(
        f"{reverse(page)}{query}", {"format": "csv", "columns": "all"}, follow=True
    )

    assert "a filter of this list no longer works" in answer.content.decode()
    assert not DataExport.objects.exists()
    assert not AuditEntry.objects.filter(action="export").exists()


def test_nothing_to_export_is_said(client: Client) -> None:
    answer = client.post(
        reverse("lead_export"), {"format": "csv", "columns": "all"}, follow=True
    )

    assert "There is nothing to export" in answer.content.decode()
    assert not DataExport.objects.exists()


def test_a_long_list_is_written_by_a_worker_and_offered_when_it_is_whole(
    client: Client, sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_at_once(monkeypatch, 0)
    for number in range(5):
        make_lead(sales.company, first_name=f"P{number}")

    made = ask(client, query="?sort=name")
    work.advance(made.pk)

    page = client.get(reverse("data_exports"), {"made": made.pk}).content.decode()
    assert "You can leave this page" in page
    assert "Download" not in page
    assert (
        client.get(reverse("data_export_download", args=[made.pk])).status_code == 302
    )
    rounds.work_through(lambda: True)
    assert "Download" in client.get(reverse("data_exports")).content.decode()
    assert [row[0] for row in rows(client, made)[1:]] == ["P0", "P1", "P2", "P3", "P4"]


def test_what_changes_meanwhile_neither_adds_a_row_nor_doubles_one(
    client: Client, sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_at_once(monkeypatch, 0)
    leads = [make_lead(sales.company, first_name=f"P{number}") for number in range(5)]
    made = ask(client, query="?sort=-updated")
    work.advance(made.pk)

    Lead.objects.filter(pk__in=[leads[0].pk, leads[4].pk]).update(
        updated_at=timezone.now(), notes="Called"
    )
    leads[1].delete()
    make_lead(sales.company, first_name="Late")
    rounds.work_through(lambda: True)

    assert [row[0] for row in rows(client, made)[1:]] == ["P4", "P3", "P2", "P0"]


def test_all_rows_are_equally_long_when_a_custom_field_is_archived_or_added_meanwhile(
    client: Client, sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_at_once(monkeypatch, 0)
    company = sales.company
    field = add_field(
        field=CustomField(company=company, subject="lead", name="Budget", type="number")
    )
    for _ in range(5):
        make_lead(company, custom={field.key: "5"})
    made = ask(client, columns="all")
    work.advance(made.pk)

    set_archived(field=field, archived=True)
    add_field(
        field=CustomField(company=company, subject="lead", name="Region", type="text")
    )
    rounds.work_through(lambda: True)

    found = rows(client, made)
    assert len({len(row) for row in found}) == 1
    assert [row[found[0].index("Budget")] for row in found] == [
        "Budget",
        "5",
        "5",
        "",
        "",
        "",
    ]


def test_a_cancelled_export_leaves_no_file(
    client: Client, sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_at_once(monkeypatch, 0)
    for _ in range(5):
        make_lead(sales.company)
    made = ask(client)
    work.advance(made.pk)

    page = client.post(
        reverse("data_export_cancel", args=[made.pk]), follow=True
    ).content.decode()
    rounds.work_through(lambda: True)

    assert "The export was cancelled." in page
    assert not ExportPart.objects.exists()
    assert DataExport.objects.get().state == "cancelled"


def test_a_member_sees_their_own_exports_and_an_admin_everyones(
    client: Client, client_as: Any, sales: Membership, admin: Membership
) -> None:
    make_lead(sales.company)
    other = client_as(join(sales.company, Role.SALES, email="other@example.com"))
    made = ask(client)
    address = reverse("data_export_download", args=[made.pk])

    assert [
        each.status_code for each in (other.get(address), client_as(admin).get(address))
    ] == [404, 200]
    assert other.get(reverse("data_exports")).context["exports"] == []
    assert client_as(admin).get(reverse("data_exports")).context["exports"] == [made]


def test_the_way_to_the_exports_is_named_for_what_it_leads_to(
    client_as: Callable[[Membership], Client], admin: Membership, sales: Membership
) -> None:
    pages = [
        client_as(member).get(reverse("lead_export")).content.decode()
        for member in (admin, sales)
    ]

    assert [("All exports" in page, "Your exports" in page) for page in pages] == [
        (True, False),
        (False, True),
    ]


def test_someone_who_was_deactivated_or_has_another_role_downloads_nothing(
    client: Client, sales: Membership
) -> None:
    make_lead(sales.company)
    address = reverse("data_export_download", args=[ask(client).pk])

    Membership.objects.filter(pk=sales.pk).update(role=Role.OPS)
    assert client.get(address).status_code == 403
    Membership.objects.filter(pk=sales.pk).update(role=Role.SALES, is_active=False)
    assert client.get(address).status_code == 403


def test_the_export_of_someone_who_was_deactivated_is_not_written(
    client: Client, sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_at_once(monkeypatch, 0)
    make_lead(sales.company)
    made = ask(client)

    Membership.objects.filter(pk=sales.pk).update(is_active=False)
    rounds.work_through(lambda: True)

    made.refresh_from_db()
    assert (made.state, made.problem) == ("failed", runner.NO_LONGER_ALLOWED)
    assert not ExportPart.objects.exists()


def test_the_file_has_a_name_of_ours_and_no_cache_keeps_it(
    client: Client, sales: Membership
) -> None:
    make_lead(sales.company)
    made = ask(client)

    answer = client.get(reverse("data_export_download", args=[made.pk]))

    size = len(b"".join(answer.streaming_content))  # type: ignore[attr-defined]
    assert answer["Content-Disposition"] == f'attachment; filename="{made.file_name}"'
    assert answer["Cache-Control"] == "no-store"
    assert answer["Content-Length"] == str(size)


def test_a_file_that_is_dropped_while_it_is_read_does_not_end_as_if_it_were_whole(
    client: Client, sales: Membership, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_at_once(monkeypatch, 9)
    for _ in range(3):
        make_lead(sales.company)
    answer = client.get(reverse("data_export_download", args=[ask(client).pk]))
    pieces = iter(answer.streaming_content)  # type: ignore[attr-defined]
    next(pieces)

    ExportPart.objects.all().delete()

    with pytest.raises(FileGone):
        next(pieces)


def test_after_a_day_the_file_is_gone(client: Client, sales: Membership) -> None:
    make_lead(sales.company)
    made = ask(client)

    DataExport.objects.update(finished_at=F("finished_at") - timedelta(days=1))

    assert (
        client.get(reverse("data_export_download", args=[made.pk])).status_code == 404
    )
    assert "No exports" in client.get(reverse("data_exports")).content.decode()


def test_a_company_makes_two_exports_at_a_time_and_a_member_keeps_ten(
    client: Client, sales: Membership, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.EXPORTS_PER_MINUTE = 100
    make_lead(sales.company)
    for _ in range(12):
        ask(client)
    assert DataExport.objects.count() == 10

    made_at_once(monkeypatch, 0)
    ask(client)
    ask(client)
    answer = client.post(
        reverse("lead_export"), {"format": "csv", "columns": "all"}, follow=True
    )

    assert "Your company is making 2 exports at the moment" in answer.content.decode()
    assert DataExport.objects.at_work().count() == 2


def test_an_error_of_ours_ends_the_export_and_says_so(
    client: Client, sales: Membership, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    make_lead(sales.company)
    monkeypatch.setattr(list_rows, "next_rows", lambda data_export: 1 / 0)

    made = ask(client)

    assert (made.state, made.problem) == ("failed", runner.FAILED)
    assert "has failed" in caplog.text


def test_an_exported_list_can_be_imported_again(
    client: Client, sales: Membership
) -> None:
    """Phone numbers and what might be a formula come back without their apostrophes."""
    lead = make_lead(
        sales.company,
        first_name="=Ada",
        last_name="Moss",
        phone="+31 6 1234",
        notes="Called\nagain",
    )
    file = content(client, ask(client, columns="all"))
    Lead.objects.all().delete()

    run(upload(sales, file), sales)

    again = Lead.objects.get()
    assert (again.name, again.phone, again.notes) == (lead.name, lead.phone, lead.notes)
