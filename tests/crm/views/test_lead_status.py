"""Changing a lead's status without its form: one at a time, or many."""

import pytest

from crm.models import CrmEvent, LeadStatus
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db


@pytest.fixture
def qualified(company):
    return LeadStatus.objects.for_company(company).get(name="Qualified")


def qualified_events():
    return list(
        CrmEvent.objects.filter(kind="lead_qualified")
        .order_by("pk")
        .values_list("lead__first_name", flat=True)
    )


def test_the_quick_change_fires_and_goes_back_to_where_one_was(
    client_as, sales, company, qualified
):
    lead = make_lead(company)

    response = client_as(sales).post(
        f"/leads/{lead.pk}/status/",
        {"status": qualified.pk, "next": "/leads/?sort=name"},
    )

    lead.refresh_from_db()
    assert response.url == "/leads/?sort=name"
    assert lead.status == qualified
    assert qualified_events() == ["Ada"]


def test_choosing_the_same_status_again_fires_nothing(
    client_as, sales, company, qualified
):
    lead = make_lead(company, status=qualified)

    client_as(sales).post(f"/leads/{lead.pk}/status/", {"status": qualified.pk})

    assert qualified_events() == ["Ada"]  # from its creation


def test_nobody_is_led_to_another_site(client_as, sales, company, qualified):
    lead = make_lead(company)

    response = client_as(sales).post(
        f"/leads/{lead.pk}/status/",
        {"status": qualified.pk, "next": "https://elsewhere.example/"},
    )

    assert response.url == f"/leads/{lead.pk}/"


def test_ticked_leads_change_together_and_each_fires(
    client_as, sales, company, qualified
):
    ada, grace = make_lead(company), make_lead(company, first_name="Grace")
    make_lead(company, first_name="Joan")

    response = client_as(sales).post(
        "/leads/status/",
        {"lead": [ada.pk, grace.pk], "status": qualified.pk},
        follow=True,
    )

    assert "2 leads are now Qualified." in response.content.decode()
    assert qualified_events() == ["Ada", "Grace"]


def test_ticking_nothing_says_so(client_as, sales, company, qualified):
    make_lead(company)

    response = client_as(sales).post(
        "/leads/status/", {"status": qualified.pk}, follow=True
    )

    assert "Select the leads to change first." in response.content.decode()
    assert qualified_events() == []


def test_nonsense_and_foreign_leads_among_the_ticked_are_left_alone(
    client_as, sales, company, other_company, qualified
):
    own, foreign = make_lead(company), make_lead(other_company, first_name="Foreign")

    client_as(sales).post(
        "/leads/status/",
        {"lead": [own.pk, foreign.pk, "x", "9" * 30, "\x00"], "status": qualified.pk},
    )

    assert qualified_events() == ["Ada"]


@pytest.mark.parametrize("status", ["", "0", "nonsense", "\x00", "9" * 30])
def test_a_status_that_is_none_is_not_found(client_as, sales, company, status):
    lead = make_lead(company)

    one = client_as(sales).post(f"/leads/{lead.pk}/status/", {"status": status})
    many = client_as(sales).post(
        "/leads/status/", {"lead": [lead.pk], "status": status}
    )

    assert (one.status_code, many.status_code) == (404, 404)
    assert qualified_events() == []
