"""Undo, where something that belongs to the change has been deleted, erased or removed since."""

import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm.models import (
    ApiKey,
    Change,
    Company,
    CrmEvent,
    Deal,
    IdempotencyRecord,
    Lead,
    LeadStatus,
    Stage,
)
from crm.models.tracking import snapshots
from crm.models.tracking.origin import acting_as
from crm.services import idempotency
from crm.services.editing import change_status, move_deal
from crm.services.erasure import erase_lead
from crm.services.undo import undo
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def patient(company: Company, token: Any, make_rule: Any) -> Company:
    company.grace_seconds = 30
    company.save()
    for kind in ("lead_qualified", "deal_won"):
        make_rule(kind)
    return company


def give(leads: list[Lead], name: str, user: Any) -> uuid.UUID:
    action = uuid.uuid4()
    with acting_as(user, action=action):
        status = LeadStatus.objects.for_company(leads[0].company).get(name=name)
        change_status(
            leads=Lead.objects.filter(pk__in=[lead.pk for lead in leads]), status=status
        )
    return action


# --- the former lead of a deal ----------------------------------------------------------------------------------------


def test_history_and_undo_of_a_moved_deal_outlive_its_former_lead(
    patient, sales
) -> None:
    deal = make_deal(make_lead(patient))
    before, action = deal.stage, uuid.uuid4()
    with acting_as(sales.user, action=action):
        move_deal(deal=deal, stage=Stage.objects.for_company(patient).get(name="Won"))
    former, deal.lead = deal.lead, make_lead(patient, email="bob@example.com")
    deal.save()

    former.delete()

    assert list(Change.objects.order_by("pk").values_list("field", "lead", "deal")) == [
        ("stage", None, deal.pk),
        ("lead", deal.lead_id, deal.pk),
    ]
    undone = undo(company=patient, action=action)
    deal.refresh_from_db()
    assert (undone.put_back, deal.stage) == ([deal], before)


def test_the_history_of_a_deleted_lead_and_of_its_deals_goes_with_it(
    patient, sales
) -> None:
    deal = make_deal(make_lead(patient))
    give([deal.lead], "Qualified", sales.user)
    move_deal(deal=deal, stage=Stage.objects.for_company(patient).get(name="Won"))
    assert Change.objects.count() == 2

    deal.lead.delete()

    assert not Change.objects.exists()
    assert not Deal.objects.exists()


# --- an erased lead ---------------------------------------------------------------------------------------------------


def test_nothing_of_an_erased_lead_is_restored(patient, sales) -> None:
    ada, bob = make_lead(patient), make_lead(patient, email="bob@example.com")
    action = give([ada, bob], "Qualified", sales.user)
    erase_lead(lead=ada)

    undone = undo(company=patient, action=action)

    ada.refresh_from_db()
    bob.refresh_from_db()
    assert (undone.erased, undone.put_back, undone.changed_since) == ([ada], [bob], [])
    assert (ada.status.name, bob.status.name) == ("Qualified", "New")


def test_a_lead_that_was_erased_at_once_is_not_removed_by_the_undo_of_its_addition(
    patient, sales
) -> None:
    action = uuid.uuid4()
    with acting_as(sales.user, action=action):
        lead = make_lead(patient)
    erase_lead(lead=lead)

    undone = undo(company=patient, action=action)

    assert (undone.erased, undone.removed) == ([lead], [])
    assert Lead.objects.filter(pk=lead.pk).exists()


def test_undo_of_an_erased_lead_is_explained(patient, sales, client_as) -> None:
    lead = make_lead(patient)
    action = give([lead], "Qualified", sales.user)
    erase_lead(lead=lead)

    page = client_as(sales).post(f"/undo/{action}/", follow=True)

    expected = f"Not undone: Erased lead {lead.pk} has been erased since, and nothing about them is restored."
    assert [str(message) for message in page.context["messages"]] == [expected]


# --- the record of a form ---------------------------------------------------------------------------------------------


def add_by_form(client: Any, key: str) -> Lead:
    form = {
        "first_name": "Grace",
        "email": "grace@example.com",
        "type": "inbound",
        "form_key": key,
    }
    form["status"] = str(
        LeadStatus.objects.get(company__slug="northwind", meaning="new").pk
    )
    answer = client.post("/leads/new/", form, follow=True)
    assert answer.status_code == 200
    return Lead.objects.latest("pk")


def test_the_form_of_a_lead_whose_addition_was_undone_adds_it_again(
    patient, sales, client_as
) -> None:
    client, key = client_as(sales), uuid.uuid4().hex
    first = add_by_form(client, key)
    undo(company=patient, action=CrmEvent.objects.get(lead=first).action)
    assert not Lead.objects.exists()

    again = add_by_form(client, key)

    assert Lead.objects.get() == again
    assert IdempotencyRecord.objects.get().made_id == again.pk


def test_a_record_of_another_kind_with_the_same_id_stays(patient, sales) -> None:
    action = uuid.uuid4()
    with acting_as(sales.user, action=action):
        lead = make_lead(patient)
    for kind in ("deal", ""):
        IdempotencyRecord.objects.create(
            company=patient, sha256=kind, made_kind=kind, made_id=lead.pk
        )

    undo(company=patient, action=action)

    assert IdempotencyRecord.objects.count() == 2


def test_the_record_of_a_script_stays(patient) -> None:
    action = uuid.uuid4()
    key, _ = ApiKey.objects.issue(company=patient, role="sales", name="Script")
    with acting_as(key, action=action):
        idempotency.save_once(
            company=patient, sha256="a", save=lambda: make_lead(patient)
        )

    undone = undo(company=patient, action=action)

    assert len(undone.removed) == 1
    assert IdempotencyRecord.objects.exists()


# --- the order of locks -----------------------------------------------------------------------------------------------


def locks(queries: CaptureQueriesContext) -> list[str]:
    """The tables in the order in which rows of them were locked or updated, without repetitions."""
    tables: list[str] = []
    for query in queries:
        sql = query["sql"]
        if sql.startswith("UPDATE") or "FOR NO KEY UPDATE" in sql:
            table = (
                sql.split('"')[1]
                if sql.startswith("UPDATE")
                else sql.split('FROM "')[1].split('"')[0]
            )
            if (
                table in ("crm_lead", "crm_deal", "capi_connection")
                and table not in tables[-1:]
            ):
                tables.append(table)
    return tables


def test_a_large_set_back_locks_all_leads_before_the_connection(
    patient, sales, monkeypatch
) -> None:
    leads = [make_lead(patient, email=f"{number}@example.com") for number in range(4)]
    give(leads, "Qualified", sales.user)
    monkeypatch.setattr(snapshots, "CHUNK", 2)

    with CaptureQueriesContext(connection) as queries:
        give(leads, "New", sales.user)

    tables = locks(queries)
    assert tables[:2] == ["crm_lead", "capi_connection"]
    locked_first = [
        query["sql"] for query in queries if "FOR NO KEY UPDATE" in query["sql"]
    ][:2]
    assert all(any(str(lead.pk) in sql for sql in locked_first) for lead in leads)


def test_an_erasure_locks_the_deals_before_the_connection(patient) -> None:
    deal = make_deal(make_lead(patient))

    with CaptureQueriesContext(connection) as queries:
        erase_lead(lead=deal.lead)

    assert locks(queries)[:3] == ["crm_lead", "crm_deal", "capi_connection"]
