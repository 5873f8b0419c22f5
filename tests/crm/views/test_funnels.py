"""The page of the funnel: who sees it, what leads where, and what it says if there is nothing."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.utils import timezone

from crm.forms.funnels import MAX_DAYS, TOO_LONG
from crm.models import Lead, LeadStatus, Stage
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db


@pytest.fixture
def leads(company, sales):
    qualified = LeadStatus.objects.for_company(company).get(name="Qualified")
    made = [
        make_lead(company, source=source, owner=owner, status=status)
        for source, owner, status in (
            ("Fair", sales.user, qualified),
            ("Fair", None, None),
            ("", sales.user, None),
            ("a&b=<c>", None, qualified),
        )
    ]
    make_deal(made[1], stage=Stage.objects.usual_of(company).get(name="Won"))
    make_deal(made[2], currency="CHF")
    return made


def test_each_number_on_the_page_leads_to_as_many_rows(client_as, sales, leads):
    client = client_as(sales)
    content = client.get("/deals/funnel/").content.decode()

    links = re.findall(
        r'href="(/(?:leads|deals/list)/\?[^"]+)"\s*>([^<]+)</a>', content
    )

    found = [(text, client.get(unescape(url)).context["page"]) for url, text in links]
    numbers = [(int(text), len(page.rows)) for text, page in found if text.isdigit()]
    assert len(numbers) >= 15
    assert all(number == behind for number, behind in numbers)
    sums = {
        text: [deal.currency for deal in page]
        for text, page in found
        if not text.isdigit()
    }
    assert sums == {"€1,250": ["EUR"], "1,250\N{NO-BREAK SPACE}CHF": ["CHF"]}


def test_it_can_be_narrowed_to_a_source_and_an_owner(client_as, ops, sales, leads):
    client = client_as(ops)

    answer = client.post(
        "/deals/funnel/",
        {"period": "this_year", "source": "Fair", "owner": sales.user_id},
    )

    assert (
        answer.url
        == f"/deals/funnel/?period=this_year&source=Fair&owner={sales.user_id}"
    )
    total = client.get(answer.url).context["funnel"].total
    assert [step.count for step in total.steps] == [1, 1, 0, 0]


def test_without_leads_it_says_so(client_as, sales, leads):
    content = client_as(sales).get("/deals/funnel/?since=2999-01-01").content.decode()

    assert "No leads in this period" in content
    assert 'class="chart' not in content


def test_it_speaks_of_filters_only_if_there_are_any(client_as, sales):
    client = client_as(sales)

    pages = [
        client.get(f"/deals/funnel/?{query}").content.decode()
        for query in ("", f"owner={sales.user_id}")
    ]

    assert ["No leads in this period" in page for page in pages] == [True, True]
    assert ["No lead that fits these filters" in page for page in pages] == [
        False,
        True,
    ]


def test_what_is_not_valid_is_ignored_and_named(client_as, sales, leads):
    answer = client_as(sales).get(
        "/deals/funnel/?source=%00&owner=x&since=yesterday&period=never"
    )

    assert answer.context["funnel"].total.steps[0].count == 4
    assert "Not valid, so ignored" in answer.content.decode()


@pytest.mark.parametrize(
    "query",
    ["since=1998-01-01", "since=2024-01-01&until=2026-01-01", "since=0001-01-01"],
)
def test_more_than_two_years_are_not_counted_and_the_page_says_so(
    client_as, sales, leads, query
):
    Lead.objects.filter(pk=leads[0].pk).update(
        created_at=timezone.now() - timedelta(days=400)
    )

    answer = client_as(sales).get(f"/deals/funnel/?{query}")

    assert TOO_LONG in unescape(answer.content.decode())
    assert answer.context["funnel"].total.steps[0].count == 3
    assert answer.context["days"]["since"] == timezone.localdate().replace(day=1)


@pytest.mark.parametrize("until", ["2199-12-31", "2026-11-30", "0001-02-01"])
def test_a_last_day_alone_ends_two_years(client_as, sales, leads, until):
    answer = client_as(sales).get(f"/deals/funnel/?until={until}")

    first, last = (answer.context["days"][name] for name in ("since", "until"))
    assert (min(last, timezone.localdate()) - first).days <= MAX_DAYS - 1
    assert not answer.context["form"].errors


@pytest.mark.parametrize(("role", "sees_it"), [("admin", True), ("sales", False)])
def test_my_day_shows_admins_the_leads_of_this_month(client_as, request, role, sees_it):
    client = client_as(request.getfixturevalue(role))

    assert ("Leads of this month" in client.get("/my-day/").content.decode()) == sees_it


def test_without_a_period_it_is_that_of_this_month(client_as, admin, company):
    last = make_lead(company)
    Lead.objects.filter(pk=last.pk).update(
        created_at=timezone.now() - timedelta(days=32)
    )
    make_deal(make_lead(company))

    answer = client_as(admin).get("/deals/funnel/")

    assert [step.count for step in answer.context["funnel"].total.steps] == [1, 1, 1, 0]
