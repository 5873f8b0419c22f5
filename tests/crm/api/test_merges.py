"""The undo of a merge through the API."""

from typing import Any

import pytest
from django.db.models import F
from rest_framework.test import APIClient

from crm.models import AuditEntry, Company, Lead, LeadMerge
from crm.models.lead_merge import UNDO_FOR
from crm.services.lead_merges import merge_leads
from tests.conftest import make_deal, make_lead
from tests.crm.api.calling import ADMIN_AND_SALES, caller

pytestmark = pytest.mark.django_db

URL = "/api/v1/merges/"


@pytest.fixture
def script(company: Company) -> APIClient:
    return caller(company, "sales")


@pytest.fixture
def merge(company: Company) -> LeadMerge:
    gone = make_lead(company, email="second@example.com", phone="+31 20 555 0142")
    make_deal(gone)
    return merge_leads(kept=make_lead(company), gone=gone, taken=["phone"])


@pytest.mark.parametrize("role", ["admin", "sales", "ops"])
def test_a_role_may_what_the_matrix_says_and_no_more(
    company: Company, merge: LeadMerge, role: str
) -> None:
    client, path = caller(company, role), f"{URL}{merge.pk}/"

    answers = [client.get(URL), client.get(path), client.post(f"{path}undo/")]

    assert [answer.status_code for answer in answers] == [
        200 if ADMIN_AND_SALES[role] else 403
    ] * 3
    assert LeadMerge.objects.exists() != ADMIN_AND_SALES[role]


def test_a_merge_is_found_by_its_leads_and_undone(
    script: APIClient, merge: LeadMerge
) -> None:
    kept, gone = merge.kept, merge.gone
    other = script.get(URL, {"gone": kept.pk}).json()["results"]
    [found] = script.get(URL, {"kept": kept.pk, "gone": gone.pk}).json()["results"]

    answer = script.post(f"{URL}{found['id']}/undo/")

    assert (other, found["merged_by"], found["undo_until"] > found["merged_at"]) == (
        [],
        None,
        True,
    )
    assert (answer.status_code, answer.json()) == (
        200, {"kept": kept.pk, "gone": gone.pk, "changed_since": [], "opted_out_since": False},
    )  # fmt: skip
    gone.refresh_from_db()
    kept.refresh_from_db()
    assert (gone.merged_into, gone.deals.count(), kept.phone) == (None, 1, "")
    assert AuditEntry.objects.get(action="merge_undone").actor_kind == "api_key"
    assert script.post(f"{URL}{found['id']}/undo/").status_code == 404


def test_what_was_changed_since_stays_and_is_said(
    script: APIClient, merge: LeadMerge
) -> None:
    kept = Lead.objects.get(pk=merge.kept_id)
    kept.phone, kept.share_with_ad_platforms = "+31 20 555 0199", False
    kept.save()

    answer = script.post(f"{URL}{merge.pk}/undo/").json()

    assert (answer["changed_since"], answer["opted_out_since"]) == (
        ["Phone", "Sharing with ad platforms"], True,
    )  # fmt: skip


def test_a_merge_before_another_one_can_not_be_undone_first(
    script: APIClient, merge: LeadMerge
) -> None:
    merge_leads(
        kept=Lead.objects.get(pk=merge.kept_id),
        gone=make_lead(merge.company, email="third@example.com"),
    )

    answer = script.post(f"{URL}{merge.pk}/undo/")

    assert (answer.status_code, "Undo that first" in answer.json()["detail"]) == (
        409,
        True,
    )
    assert LeadMerge.objects.count() == 2


@pytest.mark.parametrize("path", ["", "undo/"])
def test_after_a_day_or_of_another_company_it_is_a_404(
    script: APIClient, merge: LeadMerge, other_company: Company, path: str
) -> None:
    def ask(client: APIClient) -> Any:
        address = f"{URL}{merge.pk}/{path}"
        return (client.post(address) if path else client.get(address)).status_code

    assert ask(caller(other_company, "admin")) == 404
    LeadMerge.objects.update(merged_at=F("merged_at") - UNDO_FOR)
    assert ask(script) == 404
    assert script.get(URL).json()["results"] == []
    assert Lead.objects.get(pk=merge.gone_id).merged_into_id == merge.kept_id
