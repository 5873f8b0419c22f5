"""`/api/v1/leads/?email=`: the lead that a script knows by its address alone."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from crm.models import Lead
from crm.services.erasure import erase_lead
from crm.services.lead_merges import merge_leads
from tests.conftest import make_lead
from tests.crm.api.calling import caller

pytestmark = pytest.mark.django_db

URL = "/api/v1/leads/"
NO_ADDRESS = ["Enter an e-mail address such as ada@example.com."]


def found(company, address: str) -> list[int]:
    return [
        lead["id"]
        for lead in caller(company).get(URL, {"email": address}).json()["results"]
    ]


@pytest.mark.parametrize(
    "address",
    ["Ada@Example.com", "ada@example.com", "ADA@EXAMPLE.COM", " ada@example.com "],
)
def test_an_address_finds_its_leads_newest_first_without_regard_to_case(
    company, address
) -> None:
    first = make_lead(company, email="Ada@Example.com")
    second = make_lead(company, email="ada@example.com")
    make_lead(company, email="ada@example.com.au")
    make_lead(company, email="a_a@example.com")
    make_lead(company, email="")

    assert found(company, address) == [second.pk, first.pk]


@pytest.mark.parametrize(
    "address", ["a_a@example.com", "%@example.com", "grace@example.com"]
)
def test_an_address_that_no_lead_has_finds_none(company, address) -> None:
    make_lead(company, email="ada@example.com")

    assert found(company, address) == []


def test_another_companys_lead_is_not_found(company, other_company) -> None:
    make_lead(other_company, email="ada@example.com")

    assert found(company, "ada@example.com") == []


def test_an_erased_person_is_not_found(company) -> None:
    lead = make_lead(company, email="ada@example.com")
    erase_lead(lead=lead, user=None)

    assert found(company, "ada@example.com") == []


@pytest.mark.parametrize("address", ["", " ", "ada", "ada@", "a\x00da@example.com"])
def test_what_can_be_no_address_is_refused_and_finds_not_every_lead(
    company, address
) -> None:
    make_lead(company)

    answer = caller(company).get(URL, {"email": address})

    assert answer.status_code == 400
    assert NO_ADDRESS[0] in answer.json()["email"]


def test_the_filter_is_one_of_the_list_alone(company) -> None:
    lead = make_lead(company)

    answer = caller(company).get(f"{URL}{lead.pk}/", {"email": lead.email})

    assert answer.status_code == 400


def test_the_pages_that_follow_keep_to_the_address(company) -> None:
    leads = [make_lead(company, email="ada@example.com") for _ in range(2)]
    make_lead(company, email="grace@example.com")
    client = caller(company)

    first = client.get(URL, {"email": "ada@example.com", "page_size": 1}).json()
    second = client.get(first["next"]).json()

    assert [page["results"][0]["id"] for page in (first, second)] == [
        leads[1].pk,
        leads[0].pk,
    ]
    assert second["next"] is None


def test_the_schema_and_the_page_for_people_tell_of_it(
    company, client_as, admin
) -> None:
    schema = caller(company).get("/api/v1/schema/", {"format": "json"}).json()
    page = client_as(admin).get("/api/v1/docs/")

    (parameter,) = [
        it for it in schema["paths"][URL]["get"]["parameters"] if it["name"] == "email"
    ]
    assert parameter["description"] == "Exactly this e-mail address, ignoring case."
    assert parameter["schema"] == {
        "type": "string",
        "format": "email",
        "maxLength": 254,
    }
    assert (
        "email" in {part.title: part.filters for part in page.context["parts"]}["Leads"]
    )


def test_among_many_leads_it_is_found_by_its_index(company) -> None:
    Lead.objects.bulk_create(
        Lead(company=company, first_name="Ada", email=f"Ada{number}@example.com")
        for number in range(2_000)
    )
    with connection.cursor() as cursor, CaptureQueriesContext(connection) as queries:
        cursor.execute("ANALYZE crm_lead")
        assert len(found(company, "ada7@example.com")) == 1
        (asked,) = [
            query["sql"] for query in queries if 'FROM "crm_lead"' in query["sql"]
        ]
        cursor.execute(f"EXPLAIN {asked}")
        plan = "\n".join(line for (line,) in cursor.fetchall())

    # Directly or by a bitmap: that depends on how large other tests have left the table.
    assert re.search(r"Index Scan (using|on) lead_by_email", plan), plan
    assert "Seq Scan" not in plan


def test_the_address_of_a_lead_that_was_merged_finds_the_one_that_was_kept(
    company, other_company
) -> None:
    kept, gone = (
        make_lead(company, email="ada@example.com"),
        make_lead(company, email="ada@example.org"),
    )
    make_lead(other_company, email="ada@example.org")
    merge_leads(kept=kept, gone=gone)

    assert [
        found(company, address) for address in ("ada@example.org", "ada@example.com")
    ] == [[kept.pk]] * 2
