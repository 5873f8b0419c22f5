"""A change of many leads asks first if LinkedIn would be told."""

import pytest

from capi.models import ConversionEvent
from crm.models import Lead, LeadStatus
from tests.conftest import make_lead

pytestmark = pytest.mark.django_db

URL = "/leads/status/"


@pytest.fixture
def qualified(company):
    return LeadStatus.objects.for_company(company).get(name="Qualified")


@pytest.fixture
def leads(company, token, make_rule, qualified):
    """Two that would be sent, one without an address, one that opted out, one counted before, one Qualified."""
    counted = make_rule("lead_qualified", name="Qualified once")
    make_rule(
        "lead_qualified", "104020", name="Qualified each time", frequency="every_time"
    )
    make_rule("lead_qualified", "104028", name="Switched off", is_active=False)
    make_rule("lead_created", "104036", name="Another event")
    returning = make_lead(company, status=qualified)
    Lead.objects.filter(pk=returning.pk).update(
        status=LeadStatus.objects.for_company(company).get(name="New")
    )
    assert ConversionEvent.objects.filter(rule=counted, once_key=returning.pk).exists()
    return [
        make_lead(company),
        make_lead(company),
        make_lead(company, email=""),
        make_lead(company, share_with_ad_platforms=False),
        returning,
        make_lead(company, status=qualified),
    ]


def post(client, leads, status, **fields):
    return client.post(
        URL,
        {
            "lead": [lead.pk for lead in leads],
            "status": status.pk,
            "next": "/leads/?page=2",
            **fields,
        },
    )


def test_it_says_what_would_change_and_what_would_be_sent(
    client_as, sales, leads, qualified
):
    client, before = client_as(sales), ConversionEvent.objects.count()

    asked = client.get(post(client, leads, qualified).url)

    change = asked.context["change"]
    assert (change.changing, change.unchanged, change.conversion_count) == (5, 1, 7)
    assert [(row.rule, row.now, row.later) for row in change.conversions] == [
        ("Qualified once", 2, 1),
        ("Qualified each time", 3, 1),
    ]
    assert ConversionEvent.objects.count() == before


def test_what_it_says_is_what_happens(client_as, sales, leads, qualified):
    before = ConversionEvent.objects.filter(state__in=("pending", "waiting")).count()

    answer = post(client_as(sales), leads, qualified, confirmed="1")

    assert answer.url == "/leads/?page=2"
    assert Lead.objects.filter(status=qualified).count() == 6
    assert (
        ConversionEvent.objects.filter(state__in=("pending", "waiting")).count()
        - before
        == 7
    )


def test_it_does_not_ask_where_nothing_would_be_sent(client_as, sales, company, leads):
    contacted = LeadStatus.objects.for_company(company).get(name="Contacted")

    assert post(client_as(sales), leads, contacted).url == "/leads/?page=2"
    assert Lead.objects.filter(status=contacted).count() == 6


def test_it_does_not_ask_about_leads_that_have_the_status(
    client_as, sales, leads, qualified
):
    assert post(client_as(sales), leads[-1:], qualified).url == "/leads/?page=2"


def test_the_question_fills_the_page_where_htmx_would_replace_a_part(
    client_as, sales, leads, qualified
):
    answer = client_as(sales).post(
        URL,
        {"lead": [leads[0].pk], "status": qualified.pk},
        headers={"HX-Request": "true"},
    )

    assert answer.headers["HX-Redirect"].startswith(
        f"{URL}?status={qualified.pk}&lead={leads[0].pk}"
    )


def test_leads_of_another_company_are_not_counted(
    client_as, sales, other_company, leads, qualified
):
    foreign = make_lead(other_company)
    client = client_as(sales)

    asked = client.get(post(client, [leads[0], foreign], qualified).url)

    assert asked.context["change"].changing == 1


def test_the_address_alone_leads_back_to_the_list(client_as, sales):
    client = client_as(sales)

    assert [client.get(URL).url, client.head(URL).url] == ["/leads/", "/leads/"]
