import base64
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from rest_framework.test import APIClient

from crm.models import ApiKey, CrmEvent, Lead
from crm.selectors import timeline
from crm.services import companies
from crm.services.companies import TooManyKeys, issue_api_key
from tests.conftest import give_password, make_lead
from tests.crm.api.calling import caller, with_key

REFUSED = "This API key is unknown, revoked or expired. Ask an admin of your company for a new one."


@pytest.fixture
def issued(company):
    return ApiKey.objects.issue(company=company, role="sales", name="Website form")


def test_a_key_opens_its_company(company, issued):
    ada = make_lead(company)

    answer = with_key(issued[1]).get("/api/v1/leads/")

    assert answer.status_code == 200
    assert [row["id"] for row in answer.json()["results"]] == [ada.pk]


def test_without_a_key_the_answer_is_401_in_json_and_names_the_scheme(db):
    answer = APIClient().get("/api/v1/leads/")

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer realm="LeadMachine API"'
    assert answer.json() == {"detail": "Authentication credentials were not provided."}


@pytest.mark.parametrize(
    "text", ["lm_made-up", "", "lm_\xe9", "lm_" + "x" * 5000, "lm_a lm_b"]
)
def test_an_unknown_key_is_refused(db, text):
    answer = with_key(text).get("/api/v1/leads/")

    assert answer.status_code == 401
    assert answer["WWW-Authenticate"] == 'Bearer realm="LeadMachine API"'
    assert answer.json() == {"detail": REFUSED}


def test_a_revoked_key_is_refused_at_the_very_next_request(company, issued):
    key, text = issued
    client = with_key(text)
    assert client.get("/api/v1/leads/").status_code == 200
    key.revoke()

    answer = client.post("/api/v1/leads/", {"first_name": "Ada"})

    assert answer.status_code == 401
    assert answer.json() == {"detail": REFUSED}
    assert not Lead.objects.exists()


def test_a_key_in_another_scheme_is_no_key(issued):
    basic = base64.b64encode(f"key:{issued[1]}".encode()).decode()

    answer = APIClient().get("/api/v1/leads/", HTTP_AUTHORIZATION=f"Basic {basic}")

    assert answer.status_code == 401


def test_a_key_in_the_address_is_no_key(issued):
    answer = APIClient().get("/api/v1/leads/", {"key": issued[1]})

    assert answer.status_code == 401


def test_the_last_use_is_kept(issued):
    key, text = issued

    with_key(text).get("/api/v1/leads/")

    key.refresh_from_db()
    assert abs(timezone.now() - key.last_used_at) < timedelta(seconds=30)


@pytest.mark.parametrize(
    ("ago", "is_written"),
    [(timedelta(seconds=50), False), (timedelta(seconds=70), True)],
)
def test_the_last_use_is_written_at_most_once_a_minute(issued, ago, is_written):
    key, text = issued
    used_at = timezone.now() - ago
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=used_at)

    with_key(text).get("/api/v1/leads/")

    key.refresh_from_db()
    assert (key.last_used_at != used_at) is is_written


def test_a_refused_request_writes_no_last_use(company, issued):
    key, text = issued
    key.revoke()

    with_key(text).get("/api/v1/leads/")

    key.refresh_from_db()
    assert key.last_used_at is None


def test_a_key_opens_no_page(company):
    answer = caller(company).get("/leads/")

    assert answer.status_code == 302
    assert answer["Location"] == "/login/?next=/leads/"


def test_what_a_script_does_is_on_the_timeline_under_its_keys_name(company, issued):
    key, text = issued

    answer = with_key(text).post("/api/v1/leads/", {"first_name": "Ada"})

    lead = Lead.objects.get(pk=answer.json()["id"])
    event = CrmEvent.objects.get()
    assert (event.actor, event.api_key) == (None, key)
    assert [entry.by for entry in timeline.of_lead(lead).entries] == [
        "a script (Website form)"
    ]


def test_a_key_that_is_deleted_takes_nothing_of_the_timeline_with_it(company, issued):
    with_key(issued[1]).post("/api/v1/leads/", {"first_name": "Ada"})

    issued[0].delete()

    assert [entry.by for entry in timeline.of_lead(Lead.objects.get()).entries] == [""]


def test_a_company_has_at_most_50_keys_that_work(company, other_company):
    for number in range(50):
        key, _ = issue_api_key(company=company, role="sales", name=f"Script {number}")

    with pytest.raises(TooManyKeys, match="50 API keys"):
        issue_api_key(company=company, role="sales", name="One more")

    assert ApiKey.objects.for_company(company).count() == 50
    issue_api_key(company=other_company, role="sales", name="Theirs")
    key.revoke()
    issue_api_key(company=company, role="sales", name="One more")


def test_page_and_command_say_that_there_are_too_many_keys(
    company, admin, client_as, monkeypatch
):
    monkeypatch.setattr(companies, "KEYS_AT_MOST", 0)

    page = give_password(client_as(admin)).post(
        "/company/api-keys/new/", {"role": "sales", "name": "Website form"}
    )

    assert (
        "There are 0 API keys, the most that a company can have. Revoke one first."
        in page.content.decode()
    )
    with pytest.raises(CommandError, match="Revoke one first"):
        call_command("create_api_key", company=company.slug, role="sales")
    assert not ApiKey.objects.exists()
