"""The page that erases a person finds the deals that may name them without reading the company's history."""

import pytest

from crm.models import Change, ChangedField, Company
from crm.selectors.deal_people import deals_that_may_name
from tests.conftest import make_deal, make_lead
from tests.plans import analyse, indexes, plans

CHANGES = 3_000


@pytest.mark.django_db
def test_the_deals_that_were_someones_once_are_found_by_an_index(
    company: Company,
) -> None:
    lead, deal = make_lead(company), make_deal(make_lead(company))
    fields = (ChangedField.STAGE, ChangedField.AMOUNT, ChangedField.PERSON)
    Change.objects.bulk_create(
        Change(
            company=company,
            lead=deal.lead,
            deal=deal,
            field=fields[number % 3],
            old=str(number + 10**6),
        )
        for number in range(CHANGES)
    )
    Change.objects.create(
        company=company,
        lead=deal.lead,
        deal=deal,
        field=ChangedField.LEAD,
        old=str(lead.pk),
    )
    analyse("crm_change")

    with plans() as found:
        deals = deals_that_may_name(lead)

    assert deals == [deal]
    assert "former_people_of_deals" in indexes(found)
