"""When and from where an API key works, and what its maker enters."""

from datetime import timedelta

import pytest
from django.utils import timezone

from crm.models import ApiKey, AuditEntry, Lead
from crm.models.company import start_of
from crm.models.contribution import active_author
from crm.services.companies import issue_api_key
from tests.conftest import give_password
from tests.crm.api.calling import with_key

LEADS = "/api/v1/leads/"
FORM = {"name": "Website form", "role": "sales"}
IN_A_YEAR = (timezone.now() + timedelta(days=365)).date()


def limited(company, **limits):
    return ApiKey.objects.issue(company=company, role="sales", name="Form", **limits)


def test_a_key_works_until_it_expires(company):
    soon, late = timezone.now() + timedelta(hours=1), timezone.now()
    _, text = limited(company, expires_at=soon)
    _, old_text = limited(company, expires_at=late)

    assert with_key(text).get(LEADS).status_code == 200
    answer = with_key(old_text).post(LEADS, {"first_name": "Ada"})

    assert answer.status_code == 401
    assert "expired" in answer.json()["detail"]
    assert not Lead.objects.exists()


def test_jobs_of_an_expired_key_have_no_author(company):
    key, _ = limited(company, expires_at=timezone.now())

    author = active_author(company_id=company.pk, user_id=None, api_key_id=key.pk)

    assert author is None


def test_expired_keys_leave_room_for_others(company, monkeypatch):
    monkeypatch.setattr("crm.services.companies.KEYS_AT_MOST", 1)
    limited(company, expires_at=timezone.now())

    issue_api_key(company=company, role="sales", name="Another")

    assert ApiKey.objects.active().count() == 1


@pytest.mark.parametrize(
    ("networks", "address", "status"),
    [
        (["203.0.113.0/24"], "203.0.113.9", 200),
        (["203.0.113.0/24"], "203.0.114.9", 403),
        (["198.51.100.7/32", "2001:db8::/32"], "2001:db8::9", 200),
        (["203.0.113.0/24"], "::ffff:203.0.113.9", 200),
        (["203.0.113.0/24"], "2001:db8::9", 403),
        ([], "203.0.114.9", 200),
    ],
)
def test_a_key_works_from_its_networks_alone(company, networks, address, status):
    _, text = limited(company, networks=networks)

    answer = with_key(text).get(LEADS, REMOTE_ADDR=address)

    assert answer.status_code == status
    if status == 403:
        assert f"doesn't work from {address}." in answer.json()["detail"]


def test_a_header_that_a_caller_writes_moves_it_into_no_network(company, settings):
    settings.TRUSTED_PROXIES = ["10.0.0.1"]
    _, text = limited(company, networks=["203.0.113.0/24"])
    forwarded = {"REMOTE_ADDR": "10.0.0.1"}

    own = with_key(text).get(
        LEADS, HTTP_X_FORWARDED_FOR="203.0.113.9, 192.0.2.1", **forwarded
    )
    proxied = with_key(text).get(LEADS, HTTP_X_FORWARDED_FOR="203.0.113.9", **forwarded)

    assert (own.status_code, proxied.status_code) == (403, 200)


def test_a_key_outside_its_networks_counts_as_unused(company):
    key, text = limited(company, networks=["203.0.113.0/24"])

    with_key(text).get(LEADS, REMOTE_ADDR="192.0.2.1")

    key.refresh_from_db()
    assert key.last_used_at is None


def test_the_page_makes_a_key_with_limits_and_shows_them(client_as, admin, company):
    client = give_password(client_as(admin))
    limits = {
        "expires_on": IN_A_YEAR.isoformat(),
        "networks": "203.0.113.7, 198.51.100.9/24",
        "scopes": ["leads:read", "deals:write"],
    }

    made = client.post("/company/api-keys/new/", FORM | limits, follow=True)

    key = ApiKey.objects.get()
    assert made.context["text"]
    assert key.scopes == "leads:read deals:write"
    assert key.networks == "203.0.113.7/32 198.51.100.0/24"
    with timezone.override(company.time_zone):
        assert key.expires_at == start_of(IN_A_YEAR + timedelta(days=1))
    page = client.get("/company/").content.decode()
    assert "Only leads:read deals:write" in page
    assert "From 203.0.113.7/32 198.51.100.0/24" in page
    assert AuditEntry.objects.get(action="api_key_created").details == {
        "role": "sales",
        "scopes": ["leads:read", "deals:write"],
        "limits": ["networks", "expires_at"],
    }


def test_a_key_without_limits_has_none(client_as, admin):
    give_password(client_as(admin)).post("/company/api-keys/new/", FORM)

    key = ApiKey.objects.get()
    assert (key.scopes, key.networks, key.expires_at) == ("", "", None)


@pytest.mark.parametrize(
    "limits",
    [
        {"expires_on": "2020-01-01"},
        {"expires_on": "9999-12-31"},
        {"expires_on": "soon"},
        {"networks": "office"},
        {"networks": "203.0.113.0/33"},
        {"networks": "::ffff:203.0.113.9"},
        {"networks": " ".join(f"203.0.113.{number}" for number in range(21))},
        {"scopes": ["leads:delete"]},
    ],
)
def test_limits_that_mean_nothing_make_no_key(client_as, admin, limits):
    page = give_password(client_as(admin)).post("/company/api-keys/new/", FORM | limits)

    assert "Nothing was saved." in page.content.decode()
    assert not ApiKey.objects.exists()


def test_the_password_question_keeps_the_limits(client_as, admin):
    limits = {"networks": "203.0.113.0/24", "scopes": ["leads:read", "deals:write"]}
    client = client_as(admin)

    client.post("/company/api-keys/new/", FORM | limits)
    form = give_password(client).get("/company/").context["key_form"]

    assert not ApiKey.objects.exists()
    assert form["scopes"].value() == ["leads:read", "deals:write"]
    assert form["networks"].value() == "203.0.113.0/24"
