"""S23: lists are sorted and filtered only by what a list of ours allows; anything else reaches no column."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(client_as: Any, admin: Any, company: Any) -> Client:
    for name in ("Ada", "Bea", "Cor"):
        make_deal(make_lead(company, first_name=name))
    return client_as(admin)


@pytest.mark.parametrize(
    "sort", ["owner__password", "-owner__password", "company__name", "?", "email", "pk"]
)
def test_sorting_by_what_is_no_column_is_sorting_by_none(
    client: Client, sort: str
) -> None:
    plain = [lead.pk for lead in client.get("/leads/").context["page"]]

    found = [lead.pk for lead in client.get("/leads/", {"sort": sort}).context["page"]]

    assert found == plain


def test_nothing_that_was_typed_stands_in_a_statement(client: Client) -> None:
    with CaptureQueriesContext(connection) as statements:
        client.post("/leads/", {"search": "x'; DROP TABLE crm_lead; --"}, follow=True)
        client.get(
            "/leads/", {"source": "x'; DROP TABLE crm_lead; --", "sort": "x'; DROP"}
        )

    assert not any(
        "'; DROP" in statement["sql"] and "''; DROP" not in statement["sql"]
        for statement in statements
    )
