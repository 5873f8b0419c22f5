"""PostgreSQL goes from one organisation to the next in the index, and reads no more of the leads than it shows."""

from typing import Any

import pytest

from crm.models import Company, Deal, Lead
from crm.models.organisation_figures import COUNTED_UP_TO
from crm.models.roles import Role
from crm.selectors.organisations import names_like, organisation_of, organisations_page
from tests.conftest import join
from tests.plans import analyse, indexes, plans, read, read_whole, rows_read

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

LEADS, ORGANISATIONS = 20_000, 400
INDEX = "lead_by_organisation_key"


def make_leads(company: Company) -> list[Lead]:
    """Leads, a tenth of them in one organisation, as with “n/a”."""
    return Lead.objects.bulk_create(
        Lead(
            company=company,
            first_name=f"Ada {number}",
            last_name="Byron",
            email=f"a{number}@example.com",
            organisation="n/a"
            if number % 10 == 0
            else f"Kestrel Aviation {number % ORGANISATIONS:03}",
        )
        for number in range(LEADS // 2)
    )


@pytest.fixture(scope="module")
def large_company(committed) -> Company:
    """A company with many leads and deals, beside another one. The tests only read them, so they are made once."""
    with committed():
        company, other = (
            Company.objects.create(name=name, slug=name.lower())
            for name in ("Northwind", "Contoso")
        )
        leads, _ = make_leads(company), make_leads(other)
        # Otherwise PostgreSQL may plan for an empty table, and the deals take ten times
        # as long.
        analyse()
        Deal.objects.bulk_create(
            Deal(company=company, lead=lead, title="Two", amount=1)
            for lead in leads * 2
        )
        analyse()
    return company


def index_only(plan) -> set[str]:
    """The indexes that are read without their tables."""
    if isinstance(plan, dict):
        here = (
            {plan["Index Name"]}
            if plan.get("Node Type") == "Index Only Scan"
            else set()
        )
        return here.union(*map(index_only, plan.values()))
    return (
        set().union(*map(index_only, plan)) if isinstance(plan, list | tuple) else set()
    )


def scans(plan) -> set[str]:
    """The node types that read crm_lead."""
    if isinstance(plan, dict):
        here = {plan["Node Type"]} if plan.get("Relation Name") == "crm_lead" else set()
        return here.union(*map(scans, plan.values()))
    return set().union(*map(scans, plan)) if isinstance(plan, list | tuple) else set()


def test_no_page_of_the_list_reads_every_lead(large_company: Company) -> None:
    some_lead = Lead.objects.for_company(large_company).order_by("pk")[10]

    with plans() as found:
        first = organisations_page(large_company)
        organisations_page(large_company, after=str(first.next))
        organisations_page(large_company, before=str(some_lead.pk))

    assert len(first.rows) == 25
    assert "crm_lead" not in read_whole(found)
    keys = [plan for plan in found if "Recursive Union" in str(plan)]
    assert len(keys) == 3
    for plan in keys:
        assert scans(plan) == {"Index Only Scan"}
        assert indexes(plan) == {INDEX}


def test_neither_does_a_page_of_one_nor_what_one_types(large_company: Company) -> None:
    with plans() as found:
        large = organisation_of(large_company, "N/A")
        names = names_like(large_company, "Kestrel Aviation 1")
        people = list(
            Lead.objects.for_company(large_company)
            .of_organisation("n/a")
            .order_by("-pk")[:25]
        )

    assert large is not None
    assert large.lead_count == LEADS // 20
    assert len(names) == 10
    assert len(people) == 25
    assert "crm_lead" not in read_whole(found)
    assert INDEX in index_only(found)


def test_the_page_of_one_without_deals_does_not_look_for_any_among_all(
    large_company: Company, client_as: Any
) -> None:
    without = Lead.objects.create(
        company=large_company, last_name="Byron", organisation="Without deals"
    )
    client = client_as(join(large_company, Role.SALES))

    with plans(is_measured=True) as found:
        response = client.get(without.organisation_url)

    assert list(response.context["deals"]) == []
    assert "crm_deal" in read(found)
    assert rows_read(found, "crm_deal") == 0


def test_a_page_of_the_list_reads_the_deals_of_the_newest_leads_alone(
    large_company: Company,
) -> None:
    company = large_company
    made = Lead.objects.bulk_create(
        Lead(company=company, organisation="A large one")
        for _ in range(COUNTED_UP_TO * 5)
    )
    Deal.objects.bulk_create(
        Deal(company=company, lead=lead, title="One", amount=1) for lead in made
    )
    analyse()

    with plans(is_measured=True) as found:
        [row] = organisations_page(company, size=1).rows

    assert row.deal_count == COUNTED_UP_TO
    deals = [plan for plan in found if "crm_deal" in read(plan)]
    assert rows_read(deals, "crm_lead") <= 2 * COUNTED_UP_TO
