"""Every deletion of a lead or a deal, by anyone and anywhere, is in the audit log, with numbers and no names."""

import uuid

import pytest

from crm.models import AuditEntry, Deal, Lead
from crm.models.tracking.origin import acting_as
from crm.services.undo import undo
from tests.conftest import make_deal, make_lead, staff_client

pytestmark = pytest.mark.django_db


@pytest.fixture
def lead(company):
    return make_lead(company)


@pytest.fixture
def deal(lead):
    return make_deal(lead, title="Licences for Ada")


def on_record():
    entries = AuditEntry.objects.filter(action__endswith="_deleted").order_by("pk")
    return list(entries.values_list("action", "actor_name", "object_label", "details"))


def by_page(client, lead, deal):
    client.post(f"/deals/{deal.pk}/delete/")
    client.post(f"/leads/{lead.pk}/delete/")


def by_api(client, lead, deal):
    client.delete(f"/api/v1/deals/{deal.pk}/")
    client.delete(f"/api/v1/leads/{lead.pk}/")


@pytest.mark.parametrize("delete", [by_page, by_api])
def test_a_member_s_deletions_are_on_record(client_as, admin, lead, deal, delete):
    delete(client_as(admin), lead, deal)

    assert on_record() == [
        ("deal_deleted", "Admin Jansen", f"Deal {deal.pk}", {"lead": lead.pk}),
        ("lead_deleted", "Admin Jansen", f"Lead {lead.pk}", {"deals": []}),
    ]
    assert not Lead.objects.exists()


def test_the_deals_that_go_with_a_lead_are_named(client_as, admin, lead, deal):
    client_as(admin).post(f"/leads/{lead.pk}/delete/")

    assert on_record() == [
        ("lead_deleted", "Admin Jansen", f"Lead {lead.pk}", {"deals": [deal.pk]})
    ]
    assert not Deal.objects.exists()


def test_the_operator_s_deletions_are_on_record_one_by_one(lead, deal, company):
    second, operator = make_lead(company, email="eve@example.com"), staff_client()

    operator.post(f"/admin/crm/deal/{deal.pk}/delete/", {"post": "yes"})
    chosen = {
        "action": "delete_selected",
        "_selected_action": [lead.pk, second.pk],
        "post": "yes",
    }
    operator.post("/admin/crm/lead/", chosen)

    assert [(action, label) for action, _, label, _ in on_record()] == [
        ("deal_deleted", f"Deal {deal.pk}"),
        ("lead_deleted", f"Lead {second.pk}"),
        ("lead_deleted", f"Lead {lead.pk}"),
    ]


def test_a_refused_deletion_is_not_on_record(client_as, sales, lead, deal):
    by_page(client_as(sales), lead, deal)
    by_api(client_as(sales), lead, deal)

    assert on_record() == []
    assert Deal.objects.exists()


def test_what_an_undo_removes_is_on_record(sales, company):
    action = uuid.uuid4()
    with acting_as(sales.user, action=action):
        lead = make_lead(company)

    with acting_as(sales.user):
        undo(company=company, action=action)

    assert on_record() == [
        ("lead_deleted", "Sales Jansen", f"Lead {lead.pk}", {"deals": []})
    ]
