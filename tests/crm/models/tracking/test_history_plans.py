"""PostgreSQL finds new rows by their keys to insert their CRM events, not among the rows of each company."""

import pytest

from crm.models import Company, Lead
from crm.models.event import CrmEventKind
from crm.models.steps import LeadMeaning
from crm.models.tracking.recorder_sql import insert_history
from tests.plans import analyse, indexes, plans

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

NOBODY = {"actor_id": None, "api_key_id": None}


@pytest.mark.parametrize("meaning", [None, LeadMeaning.QUALIFIED])
def test_new_leads_are_found_by_their_keys(meaning):
    companies = Company.objects.bulk_create(
        Company(name=f"Other {n}", slug=f"other-{n}") for n in range(10)
    )
    Lead.objects.bulk_create(
        Lead(company=company, first_name=f"Lead {n}")
        for company in companies
        for n in range(2_000)
    )
    analyse()
    new = Lead.objects.bulk_create(
        Lead(company=companies[-1], first_name=f"New {n}") for n in range(4_000)
    )

    with plans() as found:
        insert_history(
            Lead,
            CrmEventKind.LEAD_CREATED,
            [lead.pk for lead in new],
            NOBODY,
            "default",
            meaning=meaning,
        )

    assert {index for index in indexes(found) if "leadstatus" not in index} == {
        "crm_lead_pkey"
    }
