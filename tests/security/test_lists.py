"""S23: what a list is sorted and narrowed by comes from a list of ours; anything else breaks and changes nothing."""

import random
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.conftest import make_deal, make_lead
from tests.crm.api.calling import caller
from tests.size import sized

pytestmark = pytest.mark.django_db

ODD = (
    "'", "\"", "1 OR 1=1", "'; DROP TABLE crm_lead; --", "owner__password", "-owner__password", "company__name",
    "status__company__linkedin_connection__sealed_token", "?", "pk", "-", "--name", "name,password",
    "\x00", "%00", "💥", "a" * 5000, "1e999", "-1", "0", "9" * 40, "1" * 4000, "null", "[]", "{}", "../", "\ud83d",
    "<script>", "${7*7}", "{{7*7}}",
)  # fmt: skip
PAGES = {
    "/leads/": (
        "sort", "status", "owner", "source", "type", "shared", "created_from", "created_until", "page", "search",
    ),
    "/deals/": ("stage", "page"),
    "/deals/new/": ("lead",),
    "/integrations/linkedin/events/": (
        "state", "event", "rule", "reason", "period", "since", "until", "before", "after",
    ),
    "/integrations/linkedin/overview/": ("rule", "period", "since", "until"),
    "/company/audit/": ("before", "action", "actor", "since", "until"),
}  # fmt: skip
API = {
    "leads": ("page_size", "cursor", "ordering", "search", "owner__password", "company"),
    "deals": ("page_size", "cursor", "ordering", "company"),
    "conversion-rules": ("page_size", "cursor", "ordering", "company"),
    "conversion-events": ("rule", "lead", "deal", "state", "cursor", "page_size", "ordering", "company"),
}


@pytest.fixture
def client(client_as: Any, admin: Any, company: Any) -> Client:
    for name in ("Ada", "Bea", "Cor"):
        make_deal(make_lead(company, first_name=name))
    return client_as(admin)


@pytest.fixture
def words() -> list[str]:
    """All of them; in `make test` a quarter, drawn by the seed of the order."""
    return random.sample(ODD, sized(len(ODD), small=len(ODD) // 4))


@pytest.mark.sized
@pytest.mark.parametrize("path", PAGES)
def test_no_odd_word_breaks_a_page_or_reaches_a_column(client: Client, words: list[str], path: str) -> None:
    for name in PAGES[path]:
        for word in words:
            answer = client.get(path, {name: word.encode("utf-8", "surrogatepass")})

            assert answer.status_code in (200, 302, 404), (name, word)


@pytest.mark.sized
@pytest.mark.parametrize("kind", API)
def test_the_api_says_what_it_cannot_read_and_breaks_on_nothing(
    client: Client, company: Any, words: list[str], kind: str
) -> None:
    script = caller(company)
    for name in API[kind]:
        for word in words:
            answer = script.get(f"/api/v1/{kind}/", {name: word.encode("utf-8", "surrogatepass")})

            assert answer.status_code in (200, 400, 404), (name, word)


@pytest.mark.parametrize("sort", ["owner__password", "-owner__password", "company__name", "?", "email", "pk"])
def test_sorting_by_what_is_no_column_is_sorting_by_none(client: Client, sort: str) -> None:
    plain = [lead.pk for lead in client.get("/leads/").context["page"]]

    found = [lead.pk for lead in client.get("/leads/", {"sort": sort}).context["page"]]

    assert found == plain


def test_nothing_that_was_typed_stands_in_a_statement(client: Client) -> None:
    with CaptureQueriesContext(connection) as statements:
        client.post("/leads/", {"search": "x'; DROP TABLE crm_lead; --"}, follow=True)
        client.get("/leads/", {"source": "x'; DROP TABLE crm_lead; --", "sort": "x'; DROP"})

    assert not any("'; DROP" in statement["sql"] and "''; DROP" not in statement["sql"] for statement in statements)
