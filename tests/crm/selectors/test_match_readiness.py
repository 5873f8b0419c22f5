"""How many leads can hardly match is counted in indexes."""

import pytest

from crm.models import Company, Lead
from crm.selectors.match_readiness import obstacles_to_matching
from tests.plans import analyse, indexes, plans, read_whole

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

LEADS = 5_000


def test_leads_are_counted_without_reading_them(
    company: Company, other_company: Company
) -> None:
    Lead.objects.bulk_create(
        Lead(
            company=company if number < LEADS else other_company,
            last_name="Byron",
            email=f"a{number}@example.com" if number % 20 else "",
            share_with_ad_platforms=number % 30 != 0,
        )
        for number in range(4 * LEADS)
    )
    analyse()

    with plans() as found:
        without_address, *_, not_shared = obstacles_to_matching(company)

    assert (without_address.count, not_shared.count) == (250, 167)
    assert {"leads_without_address", "leads_not_shared"} <= indexes(found)
    assert "crm_lead" not in read_whole(found)
