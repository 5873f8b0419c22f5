import pytest
from django.middleware.csrf import _get_new_csrf_string
from rest_framework.test import APIClient

from crm.models import Lead, Membership
from tests.conftest import make_lead


def signed_in(membership):
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(membership.user, backend="crm.accounts.adapter.EmailBackend")
    return client


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

    answer = client.post("/api/v1/leads/", {"first_name": "Ada"}, HTTP_X_CSRFTOKEN=token)

    assert answer.status_code == 201
    assert Lead.objects.get().crm_events.get().actor == sales.user


def test_the_members_role_decides(company, ops):
    client, token = signed_in(ops), _get_new_csrf_string()
    client.cookies["csrftoken"] = token

    answer = client.post("/api/v1/leads/", {"first_name": "Ada"}, HTTP_X_CSRFTOKEN=token)

    assert answer.status_code == 403
    assert answer.json() == {"detail": "Your role doesn't allow this. Ask an admin of your company."}
    assert not Lead.objects.exists()


def test_a_user_without_a_company_is_told_so(sales):
    client = signed_in(sales)
    Membership.objects.all().delete()

    answer = client.get("/api/v1/leads/")

    assert answer.status_code == 403
    assert answer.json() == {"detail": "You don't belong to a company yet. Ask an admin to add you."}


def test_a_deactivated_user_is_refused_at_the_very_next_request(sales):
    client = signed_in(sales)
    sales.user.is_active = False
    sales.user.save()

    answer = client.get("/api/v1/leads/")

    assert answer.status_code == 401


def test_a_bad_key_is_not_made_good_by_a_session(sales):
    answer = signed_in(sales).get("/api/v1/leads/", HTTP_AUTHORIZATION="Bearer lm_made-up")

    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/api/v1/leads/", "/api/v1/schema/", "/api/v1/conversion-events/"])
def test_a_stranger_is_refused_and_never_sent_to_the_sign_in_page(db, path):
    assert APIClient().get(path).status_code == 401
