"""The page of all background jobs: one's own, or the company's for an admin."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from crm.jobs import rounds
from crm.models import BulkChange, Company, DataExport, LeadImport, Membership
from crm.models.roles import Role
from crm.selectors.jobs import OF_EACH, SHOWN_FOR
from crm.services import lead_imports
from tests.conftest import join
from tests.crm.jobs.making import MAKERS, bulk_change, data_export, lead_import

pytestmark = pytest.mark.django_db(transaction=True)

JOBS = reverse("jobs")
ClientAs = Callable[[Membership], Client]


def listed(client: Client) -> list[str]:
    return [each.noun for each in client.get(JOBS).context["jobs"]]


def test_each_kind_is_listed_with_its_progress_and_a_way_to_its_own_page(
    admin: Membership, client_as: ClientAs, connected: Any
) -> None:
    jobs = [make(admin) for make in MAKERS.values()]

    answer = client_as(admin).get(JOBS)

    page = answer.content.decode()
    assert {each.noun for each in answer.context["jobs"]} == set(MAKERS)
    for job in jobs:
        assert f'href="{job.get_absolute_url()}"' in page
        assert client_as(admin).get(job.get_absolute_url()).status_code == 200
    assert page.count("0 of 3") == 3
    assert 'hx-trigger="every 2s"' in page


def test_members_see_their_own_and_admins_all(
    sales: Membership, admin: Membership, company: Company, client_as: ClientAs
) -> None:
    colleague = join(company, Role.SALES, email="colleague@example.com")
    bulk_change(sales)
    data_export(colleague)

    assert listed(client_as(sales)) == ["Bulk change"]
    assert listed(client_as(colleague)) == ["Export"]
    assert sorted(listed(client_as(admin))) == ["Bulk change", "Export"]


def test_no_one_sees_those_of_another_company(
    admin: Membership, other_company: Company, client_as: ClientAs, connected: Any
) -> None:
    stranger = join(other_company, Role.ADMIN, email="x@example.com")
    for make in (bulk_change, data_export, lead_import):
        make(stranger)

    page = client_as(admin).get(JOBS)

    assert page.context["jobs"] == []
    assert "No background jobs" in page.content.decode()


def test_those_that_have_ended_are_listed_for_three_days_below_the_others(
    sales: Membership, client_as: ClientAs
) -> None:
    ended = bulk_change(sales)
    rounds.work_through(lambda: True)
    data_export(sales)
    assert listed(client_as(sales)) == ["Export", "Bulk change"]

    BulkChange.objects.filter(pk=ended.pk).update(
        finished_at=timezone.now() - timedelta(days=3)
    )

    assert listed(client_as(sales)) == ["Export"]


def test_a_file_that_has_expired_is_not_listed(
    sales: Membership, client_as: ClientAs
) -> None:
    data_export(sales)
    rounds.work_through(lambda: True)
    assert listed(client_as(sales)) == ["Export"]

    DataExport.objects.update(finished_at=timezone.now() - timedelta(days=1, minutes=1))

    assert listed(client_as(sales)) == []


def test_a_failed_one_says_why(sales: Membership, client_as: ClientAs) -> None:
    bulk_change(sales)
    BulkChange.objects.update(
        state="failed", problem="It was too late.", finished_at=timezone.now()
    )

    page = client_as(sales).get(JOBS).content.decode()

    assert "It was too late." in page
    assert 'hx-trigger="every' not in page
    assert ">Cancel<" not in page


def test_htmx_gets_the_list_alone(sales: Membership, client_as: ClientAs) -> None:
    page = client_as(sales).get(JOBS, headers={"HX-Request": "true"}).content.decode()

    assert "<html" not in page
    assert 'id="jobs"' in page


def test_one_at_work_is_listed_however_many_are_newer(
    sales: Membership, client_as: ClientAs
) -> None:
    at_work = data_export(sales)
    newer = {"company": sales.company, "made_by": sales.user, "kind": "leads"}
    DataExport.objects.bulk_create(
        DataExport(**newer, format="csv", state="done", finished_at=timezone.now())
        for _ in range(OF_EACH)
    )

    jobs = client_as(sales).get("/jobs/").context["jobs"]

    assert len(jobs) == OF_EACH
    assert jobs[0].job == at_work


def test_an_import_that_is_undone_days_later_is_listed_without_its_old_problem(
    sales: Membership, client_as: ClientAs
) -> None:
    job = lead_import(sales)
    ended = timezone.now() - SHOWN_FOR - timedelta(days=1)
    LeadImport.objects.update(state="failed", problem="It broke.", finished_at=ended)
    assert lead_imports.undo(lead_import=job, actor=sales.user)

    page = client_as(sales).get("/jobs/")

    assert [each.job for each in page.context["jobs"]] == [job]
    assert "It broke." not in page.content.decode()
    # It has only begun, whatever the import has done.
    assert "<progress" not in page.content.decode()
