"""S37: saving a form that was opened before an erasure is refused in a sentence, and brings no one back."""

import threading

import pytest
from django.db import connection

from crm.admin import LeadAdmin
from crm.api.deals import DealSerializer
from crm.api.serializers import LeadSerializer, StrictSerializer
from crm.forms.deals import DealForm
from crm.forms.leads import LeadForm
from crm.models import Deal, Lead
from crm.services.erasure import erase_lead
from tests.conftest import make_deal, make_lead, staff_client
from tests.crm.api.calling import caller

pytestmark = pytest.mark.django_db(transaction=True)

SENTENCE = "Nothing was saved: this person has since been erased."


@pytest.fixture
def lead(company):
    return make_lead(company, first_name="Zsofia")


@pytest.fixture
def deal(lead):
    return make_deal(lead, title="Looms for Zsofia")


@pytest.fixture
def erased_just_before(monkeypatch, lead):
    """Let someone else erase the lead at the moment when this method of this class is called."""

    def at(cls, name):
        method = getattr(cls, name)

        def call(*args, **kwargs):
            other = threading.Thread(target=_erase, args=[lead])
            other.start()
            other.join()
            return method(*args, **kwargs)

        monkeypatch.setattr(cls, name, call)

    return at


def _erase(lead):
    erase_lead(lead=lead)
    connection.close()


def nothing_is_back():
    left = Lead.objects.get()
    return (
        left.erased_at is not None
        and left.first_name == ""
        and not Deal.objects.filter(title__contains="Zsofia")
    )


def lead_fields(lead):
    return {"first_name": "Zsofia", "type": "inbound", "status": lead.status_id}


@pytest.mark.covers("S37")
def test_a_lead_over_the_api(company, lead, erased_just_before):
    erased_just_before(LeadSerializer, "update")

    answer = caller(company).patch(
        f"/api/v1/leads/{lead.pk}/", {"first_name": "Zsofia"}
    )

    assert (answer.status_code, answer.json()) == (409, {"detail": SENTENCE})
    assert nothing_is_back()


@pytest.mark.covers("S37")
def test_a_lead_on_its_page(client_as, sales, lead, erased_just_before):
    erased_just_before(LeadForm, "is_valid")

    answer = client_as(sales).post(f"/leads/{lead.pk}/edit/", lead_fields(lead))

    assert answer.status_code == 409
    assert SENTENCE in answer.content.decode()
    assert nothing_is_back()


@pytest.mark.covers("S37")
def test_a_lead_in_the_operators_admin(company, lead, erased_just_before):
    client = staff_client()
    erased_just_before(LeadAdmin, "save_model")

    fields = {
        **lead_fields(lead),
        "company": company.pk,
        "share_with_ad_platforms": "on",
    }
    answer = client.post(f"/admin/crm/lead/{lead.pk}/change/", fields)

    assert answer.status_code == 409
    assert SENTENCE in answer.content.decode()
    assert nothing_is_back()


@pytest.mark.covers("S37")
def test_the_title_of_a_deal_over_the_api(company, deal, erased_just_before):
    erased_just_before(DealSerializer, "update")

    answer = caller(company).patch(
        f"/api/v1/deals/{deal.pk}/", {"title": "Looms for Zsofia"}
    )

    assert (answer.status_code, answer.json()) == (409, {"detail": SENTENCE})
    assert nothing_is_back()


@pytest.mark.covers("S37")
def test_a_new_deal_over_the_api(company, lead, erased_just_before):
    erased_just_before(StrictSerializer, "validate")

    answer = caller(company).post(
        "/api/v1/deals/", {"lead": lead.pk, "title": "Looms for Zsofia"}
    )

    assert (answer.status_code, answer.json()) == (409, {"detail": SENTENCE})
    assert nothing_is_back()
    assert not Deal.objects.exists()


@pytest.mark.covers("S37")
def test_a_deal_on_its_page(client_as, sales, deal, erased_just_before):
    erased_just_before(DealForm, "is_valid")

    fields = {"title": "Looms for Zsofia", "currency": "EUR", "stage": deal.stage_id}
    answer = client_as(sales).post(f"/deals/{deal.pk}/edit/", fields)

    assert answer.status_code == 409
    assert SENTENCE in answer.content.decode()
    assert nothing_is_back()


def test_an_erased_persons_deal_moves_on_and_gets_no_title(company, deal):
    erase_lead(lead=deal.lead)
    client, path = caller(company), f"/api/v1/deals/{deal.pk}/"

    named = client.patch(path, {"title": "Looms for Zsofia"})
    moved = client.patch(path, {"amount": "900.00"})

    assert (named.status_code, named.json()) == (409, {"detail": SENTENCE})
    assert (moved.status_code, moved.json()["amount"], moved.json()["title"]) == (
        200,
        "900.00",
        f"Deal {deal.pk}",
    )


def test_a_new_deal_for_somebody_who_was_erased_is_refused(company, lead):
    erase_lead(lead=lead)

    answer = caller(company).post(
        "/api/v1/deals/", {"lead": lead.pk, "title": "Looms for Zsofia"}
    )

    assert (answer.status_code, answer.json()) == (
        400,
        {"lead": ["Choose one of your company's leads."]},
    )
    assert not Deal.objects.exists()


def test_the_operators_admin_lets_nobody_write_into_what_is_left(lead, deal):
    erase_lead(lead=lead)
    client = staff_client()

    answers = [
        client.post(f"/admin/crm/{path}/change/", {}) for path in (f"lead/{lead.pk}", f"deal/{deal.pk}")
    ]  # fmt: skip

    assert [answer.status_code for answer in answers] == [403, 403]
    assert client.get(f"/admin/crm/lead/{lead.pk}/change/").status_code == 200
