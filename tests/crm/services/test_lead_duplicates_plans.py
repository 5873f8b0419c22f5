"""A round that has nothing to check finds that out without reading the leads of all companies."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from crm.models import Company, DuplicateSearch, Lead
from crm.services.lead_duplicates import look_for_duplicates
from tests.plans import analyse, plans, rows_read

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

COMPANIES, LEADS = 40, 100


def test_a_round_reads_the_last_change_of_each_company_and_no_other_lead() -> None:
    companies = Company.objects.bulk_create(
        Company(name=f"C{at}", slug=f"c{at}") for at in range(COMPANIES)
    )
    Lead.objects.bulk_create(
        Lead(company=company, last_name="Lead")
        for company in companies
        for _ in range(LEADS)
    )
    Lead.objects.update(updated_at=Now() - timedelta(minutes=2))
    DuplicateSearch.objects.bulk_create(
        DuplicateSearch(company=company, reached_at=Now()) for company in companies
    )
    analyse()

    with plans(is_measured=True) as found:
        look_for_duplicates(go_on=lambda: True, is_sending=lambda: False)

    assert len(found) == 1  # no company is behind
    assert 0 < rows_read(found, "crm_lead") <= 2 * COMPANIES
