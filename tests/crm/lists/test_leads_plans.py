"""PostgreSQL finds what the leads list shows in an index, whatever it is sorted by and searched for."""

from io import StringIO

import pytest
from django.core.management import call_command

from crm.lists import keyset
from crm.lists.filter_choices import sources_of
from crm.lists.leads import COLUMNS, LEADS
from crm.models import Company, Lead
from tests.plans import analyse, plans, read_whole

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

LEAD_COUNT = 40_000
SORTS = [
    "",
    *(minus + column.key for column in COLUMNS if column.order for minus in ("", "-")),
]
SEARCHES = [
    "ada",
    "qzx",
    "ada bakker",
    "kestrel aviation 79",
    "xq",
    "+31 20 155 0142",
    "carlos.3999@",
]


@pytest.fixture
def company(settings):
    settings.LINKEDIN_SANDBOX = True
    sizes = {
        "leads": LEAD_COUNT,
        "deals": 10,
        "tasks": 10,
        "notes": 10,
        "companies": 3,
        "analyze": False,
    }
    call_command("make_crm", stdout=StringIO(), **sizes)
    analyse()
    return Company.objects.get(name="Measured 1")


def test_no_page_reads_every_lead(company):
    leads = Lead.objects.for_company(company).current()
    middle = str(leads.order_by("pk")[LEAD_COUNT // 2].pk)
    with plans() as found:
        for sort in SORTS:
            for position in (
                {"after": "", "before": ""},
                {"after": middle, "before": ""},
                {"after": "", "before": middle},
            ):
                LEADS.page_of(leads, company, sort, **position)
        for text in SEARCHES:
            LEADS.page_of(leads.search(text), company, "", after="", before="")
        sources_of(company)

    wholes = [
        plan
        for plan in found
        if "crm_lead" in read_whole(plan) and not _is_bounded_count(plan)
    ]
    assert wholes == []


def _is_bounded_count(plan):
    """True for a count: it stops after 10,000 rows, so it may begin anywhere."""
    return "Aggregate" in str(plan) and "Limit" in str(plan)


FILTERS = [
    {},
    {"type": "partner"},
    {"share_with_ad_platforms": False},
    {"email": ""},
    {"updated_at__gte": "2020-01-01T00:00Z"},
    {"title": "Nobody has this title"},
]


@pytest.fixture
def one_among_others(settings, monkeypatch):
    monkeypatch.setattr(keyset, "COUNTED_UP_TO", 100)  # of 5,000, as 10,000 of 500,000
    settings.LINKEDIN_SANDBOX = True
    sizes = {"deals": 10, "tasks": 10, "notes": 10, "companies": 1, "analyze": False}
    call_command("make_crm", name="Others", leads=30_000, stdout=StringIO(), **sizes)
    call_command(
        "make_crm",
        name="Measured",
        leads=5_000,
        anyway=True,
        stdout=StringIO(),
        **sizes,
    )
    analyse()
    return Company.objects.get(name="Measured 1")


def test_no_page_and_no_count_reads_the_leads_of_other_companies(one_among_others):
    leads = Lead.objects.for_company(one_among_others).current()
    read_others = []

    for filters in FILTERS:
        with plans() as found:
            LEADS.page_of(
                leads.filter(**filters), one_among_others, "", after="", before=""
            )
        if "crm_lead" in read_whole(found):
            read_others.append(filters)

    assert read_others == []
