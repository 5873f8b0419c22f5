import pytest
from django.middleware.csrf import _get_new_csrf_string
from rest_framework.test import APIClient

from crm.models import AuditEntry, Lead, Membership
from tests.conftest import client_of, make_lead


def signed_in(membership):
    return client_of(membership.user, APIClient(enforce_csrf_checks=True))


def test_a_signed_in_member_reads(company, sales):
    ada = make_lead(company)

    answer = signed_in(sales).get(f"/api/v1/leads/{ada.pk}/")

    assert answer.status_code == 200
    assert answer.json()["first_name"] == "Ada"


def test_a_write_needs_the_csrf_token(company, sales):
    answer = signed_in(sales).post("/api/v1/leads/", {"first_name": "Ada"})

    assert answer.status_code == 403
    assert answer.json() == {"detail": "CSRF Failed: CSRF cookie not set."}
    assert not Lead.objects.exists()


def test_a_write_with_the_csrf_token_is_the_members(company, sales):
    client, token = signed_in(sales), _get_new_csrf_string()
    client.cookies["csrftoken"] = token

    answer = client.post(
        "/api/v1/leads/", {"first_name": "Ada"}, HTTP_X_CSRFTOKEN=token
    )

    assert answer.status_code == 201
    assert Lead.objects.get().crm_events.get().actor == sales.user


def test_the_members_role_decides(company, ops):
    client, token = signed_in(ops), _get_new_csrf_string()
    client.cookies["csrftoken"] = token

    answer = client.post(
        "/api/v1/leads/", {"first_name": "Ada"}, HTTP_X_CSRFTOKEN=token
    )

    assert answer.status_code == 403
    assert answer.json() == {
        "detail": "Your role doesn't allow this. Ask an admin of your company."
    }
    assert not Lead.objects.exists()


def test_a_user_without_a_company_is_told_so(sales):
    client = signed_in(sales)
    Membership.objects.all().delete()

    answer = client.get("/api/v1/leads/")

    assert answer.status_code == 403
    assert answer.json() == {
        "detail": "You don't belong to a company yet. Ask an admin to add you."
    }


def test_a_deactivated_user_is_refused_at_the_very_next_request(sales):
    client = signed_in(sales)
    sales.user.is_active = False
    sales.user.save()

    answer = client.get("/api/v1/leads/")

    assert answer.status_code == 401


def test_a_bad_key_is_not_made_good_by_a_session(sales):
    answer = signed_in(sales).get(
        "/api/v1/leads/", HTTP_AUTHORIZATION="Bearer lm_made-up"
    )

    assert answer.status_code == 401


@pytest.mark.parametrize(
    "path", ["/api/v1/leads/", "/api/v1/schema/", "/api/v1/conversion-events/"]
)
def test_a_stranger_is_refused_and_never_sent_to_the_sign_in_page(db, path):
    assert APIClient().get(path).status_code == 401


def test_a_page_of_a_session_has_a_hundred_rows_at_most(company, admin):
    Lead.objects.bulk_create(
        Lead(company=company, first_name=f"Ada {number}") for number in range(101)
    )
    client = signed_in(admin)

    sizes = [
        len(client.get("/api/v1/leads/", {"page_size": size}).json()["results"])
        for size in (500, 100, 5)
    ]

    assert sizes == [100, 100, 5]


def test_who_reads_on_from_page_to_page_is_on_record_once_an_hour(company, sales):
    for number in range(3):
        make_lead(company, email=f"ada{number}@example.com")
    client = signed_in(sales)

    first = client.get("/api/v1/leads/", {"page_size": 1}).json()
    before = AuditEntry.objects.filter(action="export").count()
    second = client.get(first["next"]).json()
    client.get(second["next"])

    assert before == 0
    assert [
        (entry.actor_name, entry.details)
        for entry in AuditEntry.objects.filter(action="export")
    ] == [("Sales Jansen", {"what": "leads through the API"})]
