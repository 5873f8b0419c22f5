"""A search for organisations reads no more leads than it compares, also where PostgreSQL knows little of a company."""

import pytest

from crm.models import Company, Deal, Lead
from crm.models.organisation_figures import open_deals_of
from crm.selectors.organisations import (
    SEARCHED_AT_MOST,
    SUGGESTED_FROM,
    names_like,
    organisations_page,
)
from tests.crm.selectors.test_organisations_plans import make_leads
from tests.plans import analyse, plans, rows_read

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

A_FEW = 100  # that begin with the text, or share a page of the table with another lead


@pytest.fixture
def only_leads(company: Company) -> list[Lead]:
    """Leads without those of another company, which PostgreSQL reads and skips if it expects only a few."""
    found = make_leads(company)
    analyse()
    return found


def test_a_word_that_all_leads_have_elsewhere_reads_no_more_of_them_than_are_compared(
    company: Company, only_leads: list[Lead]
) -> None:
    for text in ("com", "by", "byron", "exa byron"):
        with plans(is_measured=True) as found:
            assert names_like(company, text) == []

        assert 0 < rows_read(found, "crm_lead") <= SUGGESTED_FROM + A_FEW, text


def test_neither_does_a_search_of_the_list(
    company: Company, only_leads: list[Lead]
) -> None:
    Lead.objects.filter(pk__in=[lead.pk for lead in only_leads[:3]]).update(
        last_name="Nobody"
    )

    for text in ("com", "byron", "nobody"):
        with plans(is_measured=True) as found:
            page = organisations_page(company, text)

        assert page.rows == []
        assert page.is_cut is (text != "nobody")
        assert (
            0
            < rows_read(found, "crm_lead")
            <= (SEARCHED_AT_MOST if page.is_cut else 3) + A_FEW
        ), text


def test_no_deals_are_read_but_those_of_the_organisations_also_before_the_company_is_counted(
    company: Company, other_company: Company
) -> None:
    others, own = (
        Lead.objects.bulk_create(
            Lead(company=each, first_name="Ada", organisation=f"Kestrel {n % 9}")
            for n in range(900)
        )
        for each in (other_company, company)
    )
    Deal.objects.bulk_create(
        Deal(company=other_company, lead=lead, title="Forty", amount=1)
        for lead in others
    )
    analyse()
    Deal.objects.bulk_create(
        Deal(company=company, lead=lead, title="Forty", amount=1) for lead in own
    )

    for _ in ("not counted yet", "counted"):
        with plans(is_measured=True) as found:
            deals = open_deals_of(company, ["kestrel 1", "kestrel 2"])

        assert {key: figures.count for key, figures in deals.items()} == {
            "kestrel 1": 100,
            "kestrel 2": 100,
        }
        assert rows_read(found, "crm_deal") == rows_read(found, "crm_lead") == 200
        analyse()
