"""PostgreSQL goes from one organisation to the next in the index, and reads no more of the leads than it shows."""

from typing import Any

import pytest
from django.db import connection

from crm.models import Company, Deal, Lead, Membership
from crm.models.organisation_figures import COUNTED_UP_TO, open_deals_of
from crm.selectors.organisations import (
    SEARCHED_AT_MOST,
    SUGGESTED_FROM,
    names_like,
    organisation_of,
    organisations_page,
)
from tests.plans import indexes, plans, read, read_whole, rows_read

pytestmark = pytest.mark.django_db

LEADS, ORGANISATIONS = 20_000, 400
A_FEW = 100  # that begin with the text, or share a page of the table with another lead
INDEX = "lead_by_organisation_key"


def made(company: Company) -> list[Lead]:
    """Leads, a tenth of them in one organisation, as with “n/a”."""
    return Lead.objects.bulk_create(
        Lead(
            company=company,
            first_name=f"Ada {number}",
            last_name="Byron",
            email=f"a{number}@example.com",
            organisation="n/a" if number % 10 == 0 else f"Kestrel Aviation {number % ORGANISATIONS:03}",
        )
        for number in range(LEADS // 2)
    )


def analyse() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


@pytest.fixture
def leads(company: Company, other_company: Company) -> list[Lead]:
    found, _ = made(company), made(other_company)
    Deal.objects.bulk_create(Deal(company=company, lead=lead, title="Forty", amount=1) for lead in found[:2_000])
    analyse()
    return found


@pytest.fixture
def only_leads(company: Company) -> list[Lead]:
    """Leads without those of another company, which PostgreSQL reads and skips if it expects only a few."""
    found = made(company)
    analyse()
    return found


def index_only(plan) -> set[str]:
    """The indexes that are read without their tables."""
    if isinstance(plan, dict):
        here = {plan["Index Name"]} if plan.get("Node Type") == "Index Only Scan" else set()
        return here.union(*map(index_only, plan.values()))
    return set().union(*map(index_only, plan)) if isinstance(plan, list | tuple) else set()


def scans(plan) -> set[str]:
    """The node types that read crm_lead."""
    if isinstance(plan, dict):
        here = {plan["Node Type"]} if plan.get("Relation Name") == "crm_lead" else set()
        return here.union(*map(scans, plan.values()))
    return set().union(*map(scans, plan)) if isinstance(plan, list | tuple) else set()


def test_no_page_of_the_list_reads_every_lead(company: Company, leads: list[Lead]) -> None:
    with plans() as found:
        first = organisations_page(company)
        organisations_page(company, after=str(first.next))
        organisations_page(company, before=str(leads[10].pk))

    assert len(first.rows) == 25
    assert "crm_lead" not in read_whole(found)
    keys = [plan for plan in found if "Recursive Union" in str(plan)]
    assert len(keys) == 3
    for plan in keys:
        assert scans(plan) == {"Index Only Scan"}
        assert indexes(plan) == {INDEX}


def test_neither_does_a_page_of_one_nor_what_one_types(company: Company, leads: list[Lead]) -> None:
    with plans() as found:
        large = organisation_of(company, "N/A")
        names = names_like(company, "Kestrel Aviation 1")
        people = list(Lead.objects.for_company(company).of_organisation("n/a").order_by("-pk")[:25])

    assert large is not None
    assert large.lead_count == LEADS // 20
    assert len(names) == 10
    assert len(people) == 25
    assert "crm_lead" not in read_whole(found)
    assert INDEX in index_only(found)


def test_a_word_that_all_leads_have_elsewhere_reads_no_more_of_them_than_are_compared(
    company: Company, only_leads: list[Lead]
) -> None:
    for text in ("com", "by", "byron", "exa byron"):
        with plans(is_measured=True) as found:
            assert names_like(company, text) == []

        assert 0 < rows_read(found, "crm_lead") <= SUGGESTED_FROM + A_FEW, text


def test_neither_does_a_search_of_the_list(company: Company, only_leads: list[Lead]) -> None:
    Lead.objects.filter(pk__in=[lead.pk for lead in only_leads[:3]]).update(last_name="Nobody")

    for text in ("com", "byron", "nobody"):
        with plans(is_measured=True) as found:
            page = organisations_page(company, text)

        assert page.rows == []
        assert page.is_cut is (text != "nobody")
        assert 0 < rows_read(found, "crm_lead") <= (SEARCHED_AT_MOST if page.is_cut else 3) + A_FEW, text


def test_the_page_of_one_without_deals_does_not_look_for_any_among_all(
    company: Company, leads: list[Lead], sales: Membership, client_as: Any
) -> None:
    Deal.objects.bulk_create(Deal(company=company, lead=lead, title="Two", amount=1) for lead in leads * 2)
    without = Lead.objects.create(company=company, last_name="Byron", organisation="Without deals")
    analyse()

    with plans(is_measured=True) as found:
        response = client_as(sales).get(without.organisation_url)

    assert list(response.context["deals"]) == []
    assert "crm_deal" in read(found)
    assert rows_read(found, "crm_deal") == 0


def test_a_page_of_the_list_reads_the_deals_of_the_newest_leads_alone(company: Company, leads: list[Lead]) -> None:
    made = Lead.objects.bulk_create(Lead(company=company, organisation="A large one") for _ in range(COUNTED_UP_TO * 5))
    Deal.objects.bulk_create(Deal(company=company, lead=lead, title="One", amount=1) for lead in made)
    analyse()

    with plans(is_measured=True) as found:
        [row] = organisations_page(company, size=1).rows

    assert row.deal_count == COUNTED_UP_TO
    deals = [plan for plan in found if "crm_deal" in read(plan)]
    assert rows_read(deals, "crm_lead") <= 2 * COUNTED_UP_TO


def test_no_deals_are_read_but_those_of_the_organisations_also_before_the_company_is_counted(
    company: Company, other_company: Company
) -> None:
    others, own = (
        Lead.objects.bulk_create(
            Lead(company=each, first_name="Ada", organisation=f"Kestrel {n % 9}") for n in range(900)
        )
        for each in (other_company, company)
    )
    Deal.objects.bulk_create(Deal(company=other_company, lead=lead, title="Forty", amount=1) for lead in others)
    analyse()
    Deal.objects.bulk_create(Deal(company=company, lead=lead, title="Forty", amount=1) for lead in own)

    for _ in ("not counted yet", "counted"):
        with plans(is_measured=True) as found:
            deals = open_deals_of(company, ["kestrel 1", "kestrel 2"])

        assert {key: figures.count for key, figures in deals.items()} == {"kestrel 1": 100, "kestrel 2": 100}
        assert rows_read(found, "crm_deal") == rows_read(found, "crm_lead") == 200
        analyse()
