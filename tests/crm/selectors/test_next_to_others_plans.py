"""The list of a company's leads, and how many there are, is read past no leads of other companies."""

from io import StringIO

import pytest
from django.core.management import call_command

from crm.models import Company, Lead
from crm.selectors import keyset
from crm.selectors.leads import leads_page
from tests.plans import analyse, plans, read_whole

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

FILTERS = [
    {},
    {"type": "partner"},
    {"share_with_ad_platforms": False},
    {"email": ""},
    {"updated_at__gte": "2020-01-01T00:00Z"},
    {"title": "Nobody has this title"},
]


@pytest.fixture
def company(settings, monkeypatch):
    monkeypatch.setattr(keyset, "COUNTED_UP_TO", 100)  # of 5,000, as 10,000 of 500,000
    settings.LINKEDIN_SANDBOX = True
    sizes = {"deals": 10, "tasks": 10, "notes": 10, "companies": 1, "analyze": False}
    call_command("make_crm", name="Neighbours", leads=30_000, stdout=StringIO(), **sizes)
    call_command("make_crm", name="Measured", leads=5_000, anyway=True, stdout=StringIO(), **sizes)
    analyse()
    return Company.objects.get(name="Measured 1")


def test_the_list_reads_no_leads_of_other_companies(company) -> None:
    leads = Lead.objects.for_company(company).current()
    read_others = []

    for filters in FILTERS:
        with plans() as found:
            leads_page(leads.filter(**filters), company, "", after="", before="")
        if "crm_lead" in read_whole(found):
            read_others.append(filters)

    assert read_others == []
