"""The recipe of docs/architecture.md: a list that is declared once has a page, filters, an export and the API."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from crm.jobs import rounds
from crm.lists import registry
from crm.models import DataExport, Membership
from tests.conftest import make_lead, make_note
from tests.crm.api.calling import caller
from tests.crm.data_exchange.exporting.reading import ask, rows
from tests.crm.lists.memos import MEMOS

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.crm.lists.memos")]


@pytest.fixture(autouse=True)
def memos(
    monkeypatch: pytest.MonkeyPatch, sales: Membership, other_company: Any
) -> None:
    monkeypatch.setitem(registry._LISTS, MEMOS.key, MEMOS)
    lead = make_lead(sales.company)
    make_note(sales, lead, text="Likes sailing")
    make_note(sales, lead, text="Called back", kind="call")


@pytest.fixture
def browser(client_as: Callable[[Membership], Client], sales: Membership) -> Client:
    return client_as(sales)


def test_its_page_is_filtered_and_sorted(browser: Client) -> None:
    whole = browser.get("/memos/?sort=written").content.decode()
    calls = browser.get("/memos/?kind=call").content.decode()
    posted = browser.post("/memos/", {"kind": "call", "since": "2027-01-01"})

    assert whole.index("Likes sailing") < whole.index("Called back")
    assert ("Called back" in calls, "Likes sailing" in calls) == (True, False)
    assert posted["Location"] == "/memos/?kind=call"


def test_a_filter_that_no_longer_works_shows_nothing_and_says_so(
    browser: Client,
) -> None:
    page = browser.get("/memos/?kind=letter").content.decode()

    assert "A filter no longer works" in page
    assert "Likes sailing" not in page


def test_it_is_exported_from_its_page(browser: Client) -> None:
    made = ask(browser, "memo_export", "?kind=call", columns="shown")

    head, memo = rows(browser, made)
    assert head == ["Text", "Kind", "Written"]
    assert memo[:2] == ["Called back", "Call"]


def test_it_is_exported_over_the_api(sales: Membership) -> None:
    script = caller(sales.company, "sales")
    asked = script.post(
        "/api/v1/exports/",
        {
            "kind": "memos",
            "format": "csv",
            "filters": {"kind": "note"},
            "columns": ["text"],
        },
    )
    rounds.work_through(lambda: True)
    answer: Any = script.get(f"/api/v1/exports/{DataExport.objects.get().pk}/content/")

    assert (asked.status_code, asked.json()["kind"]) == (201, "memos")
    content = b"".join(answer.streaming_content).decode("utf-8-sig")
    assert list(csv.reader(io.StringIO(content))) == [["Text"], ["Likes sailing"]]


def test_an_export_of_a_list_that_does_not_exist_is_refused(sales: Membership) -> None:
    answer = caller(sales.company, "sales").post(
        "/api/v1/exports/", {"kind": "letters", "format": "csv"}
    )

    assert answer.status_code == 400
    assert "memos" in answer.json()["kind"][0]


def test_the_api_filters_and_sorts_it(sales: Membership) -> None:
    script = caller(sales.company, "sales")

    def texts(query: str) -> list[str]:
        return [
            memo["text"]
            for memo in script.get(f"/api/v1/memos/?{query}").json()["results"]
        ]

    assert texts("ordering=written") == ["Likes sailing", "Called back"]
    assert texts("kind=call") == ["Called back"]
    assert texts("since=2999-01-01") == []
    assert script.get("/api/v1/memos/?ordering=text").status_code == 400


def test_a_key_is_used_once() -> None:
    with pytest.raises(ValueError, match="memos already"):
        registry.register(MEMOS)
