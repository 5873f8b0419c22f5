"""What programs that keep a copy have to delete: `/api/v1/deletions/`, whatever the way in which something went."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from crm.models import Company, Deletion, Lead
from crm.models.deletion import KEPT_FOR
from crm.services.erasure import erase_lead
from crm.services.lead_merges import merge_leads
from crm.services.merge_undo import undo_merge
from tests.conftest import make_deal, make_lead, make_task
from tests.crm.api.calling import caller

pytestmark = pytest.mark.django_db

URL = "/api/v1/deletions/"


@pytest.fixture
def script(company: Company) -> APIClient:
    return caller(company, "sales")


def gone(script: APIClient, **filters: Any) -> list[tuple[str, int, int | None]]:
    rows = script.get(URL, filters).json()["results"]
    return [(row["object"], row["id"], row["merged_into"]) for row in rows]


WAYS: dict[str, Callable[[Lead], Any]] = {
    "one": lambda lead: lead.delete(),
    "many": lambda lead: Lead.objects.filter(pk=lead.pk).delete(),
    "an erasure": lambda lead: erase_lead(lead=lead, user=None),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_lead_is_listed_once_whatever_the_way(
    script: APIClient, company: Company, way: str
) -> None:
    lead = make_lead(company)
    pk = lead.pk

    WAYS[way](lead)

    assert gone(script) == [("lead", pk, None)]


def test_a_lead_that_was_erased_and_then_deleted_is_listed_once(
    script: APIClient, company: Company
) -> None:
    lead = make_lead(company)
    pk = lead.pk
    erase_lead(lead=lead, user=None)
    Lead.objects.get(pk=pk).delete()

    assert gone(script) == [("lead", pk, None)]


def test_what_goes_with_a_lead_is_listed_too(
    script: APIClient, company: Company, sales: Any
) -> None:
    deal = make_deal(make_lead(company))
    task = make_task(sales, deal=deal)
    expected = {
        ("lead", deal.lead_id, None),
        ("deal", deal.pk, None),
        ("task", task.pk, None),
    }

    deal.lead.delete()

    assert set(gone(script)) == expected
    assert gone(script, object="task") == [("task", task.pk, None)]


def test_a_merge_says_where_the_lead_went_until_it_is_undone(
    script: APIClient, company: Company
) -> None:
    kept, other = make_lead(company), make_lead(company, email="other@example.com")
    merge = merge_leads(kept=kept, gone=other, taken=[])
    merged = gone(script)

    undo_merge(merge=merge)

    assert merged == [("lead", other.pk, kept.pk)]
    assert gone(script) == []


def test_deletions_since_a_moment_and_none_that_may_be_missing(
    script: APIClient, company: Company
) -> None:
    lead = make_lead(company)
    lead.delete()
    now = timezone.now()

    recent = gone(script, deleted_from=(now - timedelta(minutes=5)).isoformat())
    later = gone(script, deleted_from=(now + timedelta(minutes=5)).isoformat())
    early = script.get(
        URL, {"deleted_from": (now - KEPT_FOR - timedelta(days=2)).isoformat()}
    )

    assert (len(recent), later) == (1, [])
    assert early.status_code == 400
    assert "read all leads, deals and tasks again" in early.json()["deleted_from"][0]


def test_another_company_reads_nothing_of_it(
    company: Company, other_company: Company
) -> None:
    make_lead(company).delete()

    assert gone(caller(other_company, "admin")) == []


@pytest.mark.django_db(transaction=True)
def test_a_company_that_is_deleted_leaves_no_deletions(company: Company) -> None:
    make_deal(make_lead(company))
    make_lead(company, email="x@example.com").delete()

    company.delete()

    assert not Deletion.objects.exists()
