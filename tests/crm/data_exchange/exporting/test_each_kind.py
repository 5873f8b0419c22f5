"""Each kind of export, from the page and over the API to its file."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from crm.jobs import rounds
from crm.lists.registry import LISTS
from crm.models import DataExport, Membership
from crm.models.external_id import Reference
from crm.services.external_ids import replace_external_ids
from tests.conftest import make_deal, make_lead, make_task
from tests.crm.api.calling import caller
from tests.crm.data_exchange.exporting.reading import ask, rows

pytestmark = pytest.mark.django_db

PAGES = {
    "leads": "lead_export",
    "deals": "deal_export",
    "tasks": "task_export",
    "organisations": "organisation_export",
}
KINDS = [*LISTS]  # a whole company: tests/crm/views/test_company_export.py


@pytest.fixture
def one_of_each(sales: Membership) -> None:
    lead = make_lead(sales.company, organisation="Harbour & Sons")
    make_deal(lead)
    make_task(sales, lead=lead)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("columns", ["shown", "all"])
def test_it_is_asked_for_on_a_page_and_downloaded(
    client_as: Callable[[Membership], Client],
    sales: Membership,
    one_of_each: None,
    kind: str,
    columns: str,
) -> None:
    browser = client_as(sales)

    page = browser.get(reverse(PAGES[kind]))
    made = ask(browser, PAGES[kind], columns=columns)

    assert page.status_code == 200
    assert made.kind == kind
    assert len(rows(browser, made)) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_asked_for_over_the_api_and_downloaded(
    sales: Membership, one_of_each: None, kind: str
) -> None:
    script = caller(sales.company, "sales")

    asked = script.post("/api/v1/exports/", {"kind": kind, "format": "csv"})
    rounds.work_through(lambda: True)
    answer: Any = script.get(f"/api/v1/exports/{DataExport.objects.get().pk}/content/")

    assert asked.status_code == 201
    assert (
        len(list(csv.reader(io.StringIO(b"".join(answer.streaming_content).decode()))))
        == 2
    )


@pytest.mark.parametrize("kind", ["leads", "deals"])
def test_external_ids_are_in_all_columns(
    client_as: Callable[[Membership], Client], sales: Membership, kind: str
) -> None:
    browser = client_as(sales)
    deal = make_deal(make_lead(sales.company))
    ids = [Reference("hubspot", "17"), Reference("erp", "K;0815")]
    replace_external_ids(row=deal.lead if kind == "leads" else deal, ids=ids)

    shown = rows(browser, ask(browser, PAGES[kind]))
    head, row = rows(browser, ask(browser, PAGES[kind], columns="all"))

    assert "External ids" not in shown[0]
    assert row[head.index("External ids")] == "erp:K;0815 hubspot:17"
