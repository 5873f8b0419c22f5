"""PostgreSQL finds the leads of a chunk by their keys, even if it estimates the whole company at a single row."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from crm.data_exchange.exporting.archive import FILES
from crm.data_exchange.exporting.work import advance as write_chunk
from crm.models import (
    BulkChange,
    BulkKind,
    Company,
    Deal,
    ExportFormat,
    Lead,
    LeadChange,
    LeadResult,
    LeadStatus,
    Membership,
    Tag,
    Task,
)
from crm.services.bulk_changes import advance, start
from crm.services.data_exports import export_list
from crm.services.lead_changes import Confirmation, change_leads
from tests.conftest import all_rules, make_deal
from tests.plans import analyse, indexes, plans, read, read_whole, rows_read

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

LEADS = 1_200
OF_COMPANY = {
    index.name
    for model in (Lead, Deal)
    for index in model._meta.indexes
    if index.fields[:1] == ["company"]
} | {f"{name}_of_company" for name in ("lead", "crm_deal")}


def _add_leads(company: Company, count: int) -> list[Lead]:
    return Lead.objects.bulk_create(
        Lead(company=company, first_name=f"P{number}") for number in range(count)
    )


def _add_deals(leads: list[Lead]) -> None:
    """One deal for each of the leads."""
    first = make_deal(leads[0])
    Deal.objects.bulk_create(
        Deal(company=lead.company, lead=lead, stage=first.stage) for lead in leads[1:]
    )


@pytest.fixture
def leads(company: Company, other_company: Company) -> Iterator[list[Lead]]:
    """Leads of a company that PostgreSQL has no statistics on yet."""
    _add_leads(other_company, LEADS)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
        # It might scan a table as small as this one.
        cursor.execute("SET enable_seqscan = off")
        yield _add_leads(company, LEADS)
        cursor.execute("RESET enable_seqscan")


CHANGES: dict[str, Callable[[Membership], LeadChange]] = {
    "owner": lambda member: LeadChange(BulkKind.OWNER, member.user),
    "status": lambda member: LeadChange(
        BulkKind.STATUS,
        LeadStatus.objects.for_company(member.company).get(name="Qualified"),
    ),
    "tag": lambda member: LeadChange(
        BulkKind.ADD_TAG, Tag.objects.create(company=member.company, name="Fair")
    ),
    "deletion": lambda member: LeadChange(BulkKind.DELETE),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_chunk_of_a_bulk_change_reads_no_index_of_the_company(
    admin: Membership, leads: list[Lead], change: Callable[[Membership], LeadChange]
) -> None:
    keys = [lead.pk for lead in leads]
    confirmed = Confirmation(
        LEADS, LEADS, timezone.now() + timedelta(minutes=1), all_rules()
    )
    begun = start(author=admin, change=change(admin), keys=keys, confirmed=confirmed)

    with plans() as found:
        assert advance(begun.pk)

    assert BulkChange.objects.get(pk=begun.pk).done["changed"] in (25, 500)
    assert _of_rows(found) & OF_COMPANY == set()


def test_what_leads_have_got_since_the_question_is_read_of_these_alone(
    admin: Membership, leads: list[Lead]
) -> None:
    asked = Confirmation(25, 0, timezone.now(), all_rules())
    Task.objects.bulk_create(
        Task(
            company=admin.company, lead=lead, title="Call", due_on=timezone.localdate()
        )
        for lead in leads
    )
    few = [lead.pk for lead in leads[:25]]

    with plans(is_measured=True) as found:
        done = change_leads(
            company=admin.company,
            change=LeadChange(BulkKind.DELETE),
            keys=few,
            confirmed=asked,
        )

    assert done[LeadResult.SINCE] == 25
    assert rows_read(found, "crm_task") == 25
    assert Lead.objects.count() == 2 * LEADS


@pytest.mark.parametrize(("kind", "model"), [("leads", Lead), ("deals", Deal)])
def test_a_chunk_of_an_export_reads_no_index_of_the_company(
    sales: Membership,
    other_company: Company,
    leads: list[Lead],
    kind: str,
    model: Any,
) -> None:
    # The deals are as the leads: another company's, which PostgreSQL has statistics on, and as many of our own.
    _add_deals(list(Lead.objects.for_company(other_company)))
    analyse("crm_deal")
    _add_deals(leads)
    keys = [*model.objects.for_company(sales.company).values_list("pk", flat=True)]
    asked = export_list(
        author=sales,
        kind=kind,
        file_format=ExportFormat.CSV,
        keys=keys,
        columns=[],
        filters=[],
    )

    with plans() as found:
        assert write_chunk(asked.pk)

    asked.refresh_from_db()
    assert asked.reached == min(len(keys), 1_000)
    assert _of_rows(found) & OF_COMPANY == set()


@pytest.mark.parametrize(
    "name", ["leads.csv", "deals.csv", "tasks.csv", "crm-events.csv", "notes.csv"]
)
def test_a_chunk_of_a_company_is_read_in_the_order_of_its_keys(
    company: Company, leads: list[Lead], name: str
) -> None:
    (file,) = (file for file in FILES if file.name == name)

    with plans() as found:
        list(file.rows(company).filter(pk__gt=leads[0].pk).order_by("pk")[:100])

    assert len(read(found[0])) == 1  # no other table, whose rows could be read first
    assert "Sort" not in str(found[0])


def _of_rows(found: list[Any]) -> set[str]:
    """The indexes that are used. Fails if crm_lead is read whole."""
    assert "crm_lead" not in read_whole(found)
    return indexes(found)


def test_keys_of_another_company_find_nothing(
    company: Company, other_company: Company
) -> None:
    (own,), (other,) = _add_leads(company, 1), _add_leads(other_company, 1)
    keys = [own.pk, other.pk]

    assert [*Lead.objects.for_company(company, keys=keys)] == [own]
    assert [*Lead.objects.for_company(company.pk, keys=keys)] == [own]
    assert [*Lead.objects.for_company(company, keys=[])] == []
