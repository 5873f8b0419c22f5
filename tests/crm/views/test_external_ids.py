"""External ids on the pages of a lead and a deal."""

import pytest

from crm.models.external_id import Reference
from crm.services.external_ids import replace_external_ids
from tests.conftest import client_of, make_deal, make_lead

pytestmark = pytest.mark.django_db


def test_the_pages_of_a_lead_and_a_deal_show_them(sales, company):
    sales_client = client_of(sales.user)
    deal = make_deal(make_lead(company))
    urls = [deal.lead.get_absolute_url(), deal.get_absolute_url()]
    assert not any(b"External ids" in sales_client.get(url).content for url in urls)

    for row in (deal.lead, deal):
        replace_external_ids(row=row, ids=[Reference("erp", "<K-0815>")])

    for url in urls:
        page = sales_client.get(url).content
        assert b"External ids" in page
        assert b"<bdi>erp:&lt;K-0815&gt;</bdi>" in page
