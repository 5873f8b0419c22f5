"""Which plan PostgreSQL has for a filter by a custom choice."""

import pytest

from crm.models import Company, Lead
from crm.models.custom_lookups import holds
from tests.crm.custom_values import make_field
from tests.plans import analyse, indexes, plans

LEADS = 3_000


@pytest.mark.django_db
def test_a_filter_by_a_rare_choice_uses_the_index(
    company: Company, other_company: Company
) -> None:
    field = make_field(company, "Region", "choice")
    for each in (company, other_company):
        Lead.objects.bulk_create(
            Lead(
                company=each,
                first_name="Ada",
                custom={"region": "emea" if number % 1_000 == 0 else "americas"},
            )
            for number in range(LEADS)
        )
    analyse("crm_lead")

    with plans() as found:
        leads = list(
            Lead.objects.for_company(company)
            .filter(holds(field, "emea"))
            .order_by("-pk")[:25]
        )

    assert len(leads) == LEADS // 1_000
    assert "crm_lead_custom" in indexes(found)
