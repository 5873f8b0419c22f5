"""An admin erases a person from the lead's page, after typing the name."""

import pytest

from crm.models import ApiKey, AuditEntry, Deal, Lead, LeadStatus, Stage
from crm.services.erasure import erase_lead
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db


@pytest.fixture
def lead(company):
    return make_lead(company, last_name="Lovelace")


@pytest.fixture
def erased(lead):
    make_deal(lead)
    erase_lead(lead=lead)
    lead.refresh_from_db()
    return lead


def test_the_page_asks_for_the_name_and_then_erases(client_as, admin, lead):
    client = client_as(admin)
    page = f"/leads/{lead.pk}/erase/"

    asked = client.get(page).content.decode()
    wrong = client.post(page, {"name": "Grace Hopper"}).content.decode()
    lead.refresh_from_db()
    assert "Erase <bdi>Ada Lovelace</bdi>?" in asked
    assert "That is not the lead&#x27;s name." in wrong
    assert lead.erased_at is None

    done = client.post(page, {"name": " ada LOVELACE "}, follow=True).content.decode()

    assert f"Lead {lead.pk} was erased." in done
    assert "This person was erased" in done
    assert "Lovelace" not in done
    assert AuditEntry.objects.get(action="erasure").actor_id == admin.user_id


@pytest.mark.parametrize("role", ["sales", "ops"])
def test_only_admins_erase(client_as, role, request, lead):
    client = client_as(request.getfixturevalue(role))

    answers = [
        client.get(f"/leads/{lead.pk}/erase/"),
        client.post(f"/leads/{lead.pk}/erase/", {"name": "Ada Lovelace"}),
    ]

    lead.refresh_from_db()
    assert [answer.status_code for answer in answers] == [403, 403]
    assert "/erase/" not in client.get(f"/leads/{lead.pk}/").content.decode()
    assert lead.erased_at is None


def test_a_lead_of_another_company_is_not_found(client_as, admin, other_company):
    theirs = make_lead(other_company)

    assert (
        client_as(admin).post(f"/leads/{theirs.pk}/erase/", {"name": "Ada"}).status_code
        == 404
    )
    assert Lead.objects.get().erased_at is None


def test_what_is_left_can_be_looked_at_but_not_changed(
    client_as, admin, company, erased
):
    client = client_as(admin)
    qualified = LeadStatus.objects.get(company=company, name="Qualified")
    deal = Deal.objects.get()

    page = client.get(f"/leads/{erased.pk}/").content.decode()
    answers = [
        client.get(f"/leads/{erased.pk}/edit/"),
        client.post(f"/leads/{erased.pk}/status/", {"status": qualified.pk}),
        client.get(f"/leads/{erased.pk}/erase/"),
        client.get(f"/deals/new/?lead={erased.pk}"),
        client.post(f"/deals/{deal.pk}/edit/", {"title": "Ada's deal"}),
    ]
    client.post("/leads/status/", {"lead": [erased.pk], "status": qualified.pk})

    assert "/edit/" not in page
    assert [answer.status_code for answer in answers] == [404] * 5
    assert Lead.objects.get().status.name == "New"


def test_their_deal_still_moves_and_shows(client_as, admin, company, erased):
    client = client_as(admin)
    deal = Deal.objects.get()
    won = Stage.objects.get(company=company, name="Won")

    client.post(f"/deals/{deal.pk}/move/", {"stage": won.pk})
    page = client.get(f"/deals/{deal.pk}/").content.decode()

    assert Deal.objects.get().stage == won
    assert f"Erased lead {erased.pk}" in page
    assert f"/deals/{deal.pk}/edit/" not in page


def test_they_are_in_no_list_and_not_in_the_api(
    client_as, admin, company, erased, client
):
    _, text = ApiKey.objects.issue(company=company, role="admin", name="Script")
    headers = {"authorization": f"Bearer {text}"}

    listed = client_as(admin).get("/leads/").context["page"]
    api = client.get("/api/v1/leads/", headers=headers).json()["results"]
    changed = client.patch(
        f"/api/v1/leads/{erased.pk}/",
        {"notes": "x"},
        content_type="application/json",
        headers=headers,
    )

    assert list(listed) == []
    assert api == []
    assert changed.status_code == 404


@pytest.mark.django_db(transaction=True)
def test_a_form_that_was_open_meanwhile_is_told(
    client_as, admin, company, lead, monkeypatch
):
    from crm.forms.leads import LeadForm

    is_valid = LeadForm.is_valid

    def erased_meanwhile(form):
        monkeypatch.setattr(LeadForm, "is_valid", is_valid)
        erase_lead(lead=lead)
        return is_valid(form)

    monkeypatch.setattr(LeadForm, "is_valid", erased_meanwhile)
    form = {
        "first_name": "Ada",
        "last_name": "King",
        "type": "inbound",
        "status": lead.status_id,
    }

    answer = (
        client_as(admin)
        .post(f"/leads/{lead.pk}/edit/", form, follow=True)
        .content.decode()
    )

    assert "Nothing was saved: this person has since been erased." in answer
    assert Lead.objects.get().last_name == ""
