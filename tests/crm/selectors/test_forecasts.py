"""The forecast adds up open deals by month, in one currency at a time, and each number leads to its deals."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from crm.models import Deal, Pipeline, Stage
from crm.models.roles import Role
from crm.selectors.forecasts import forecast_of
from crm.services.pipelines import add_pipeline
from tests.conftest import join, make_deal, make_lead

pytestmark = pytest.mark.django_db

TODAY = date(2026, 11, 27)


@pytest.fixture
def lead(company):
    return make_lead(company)


def forecast(company, today=TODAY):
    stages = list(Stage.objects.usual_of(company))
    return forecast_of(company, stages, Deal.objects.for_company(company), today, "")


def figures(rows):
    return {
        row.label: (row.own.count, row.own.total, row.own.weighted)
        for row in rows
        if not row.is_empty
    }


def stage(company, name):
    return Stage.objects.usual_of(company).get(name=name)


def test_deals_are_added_up_by_month_and_weighted_by_the_chance_of_their_stage(
    company, lead
):
    make_deal(lead, amount="1000", expected_close=TODAY)
    make_deal(
        lead,
        amount="1000",
        expected_close=date(2026, 11, 30),
        stage=stage(company, "Negotiation"),
    )
    make_deal(lead, amount="200", expected_close=date(2026, 12, 1))
    make_deal(lead, amount=None, expected_close=date(2026, 12, 31))
    make_deal(
        lead,
        amount="50",
        expected_close=date(2027, 10, 31),
        stage=stage(company, "Proposal"),
    )

    found = forecast(company)

    assert figures(found.months) == {
        "Nov 2026": (2, Decimal(2000), Decimal(1000)),
        "Dec 2026": (2, Decimal(200), Decimal(50)),
        "Oct 2027": (1, Decimal(50), Decimal(25)),
    }
    assert len(found.months) == 12
    assert figures([found.total]) == {"Total": (5, Decimal(2250), Decimal(1075))}
    assert found.apart == []


def test_overdue_ones_and_those_without_a_date_stand_apart_and_later_ones_together(
    company, lead
):
    make_deal(lead, amount="10", expected_close=TODAY - timedelta(days=1))
    make_deal(lead, amount="20", expected_close=date(2024, 1, 1))
    make_deal(lead, amount="40", expected_close=None)
    make_deal(lead, amount="80", expected_close=date(2027, 11, 1))
    make_deal(lead, amount="160", expected_close=date(9999, 12, 31))

    found = forecast(company)

    assert {label: total for label, (_, total, _) in figures(found.apart).items()} == {
        "Overdue": 30,
        "No close date": 40,
    }
    assert {label: total for label, (_, total, _) in figures(found.months).items()} == {
        "Later": 240
    }
    assert found.total.own.total == 310


def test_other_currencies_are_listed_apart_and_in_no_sum(company, lead):
    make_deal(lead, amount="100", expected_close=TODAY)
    make_deal(lead, amount="400", currency="CHF", expected_close=TODAY)

    found = forecast(company)

    november = found.months[0]
    assert (november.own.count, november.own.total) == (1, 100)
    assert [
        (currency, sums.count, sums.total, sums.weighted)
        for currency, sums in november.other_sums
    ] == [("CHF", 1, 400, 100)]
    assert found.total.own.total == 100


def test_won_and_lost_deals_and_those_of_other_pipelines_are_not_in_it(
    company, other_company, lead
):
    renewals = add_pipeline(pipeline=Pipeline(company=company, name="Renewals"))
    for there in (
        stage(company, "Won"),
        stage(company, "Lost"),
        Stage.objects.of(renewals)[0],
    ):
        make_deal(lead, expected_close=TODAY, stage=there)
    make_deal(make_lead(other_company), expected_close=TODAY)

    assert forecast(company).total.is_empty


def test_owners_are_listed_with_the_highest_weighted_sum_first(company, lead):
    anna = join(company, Role.SALES, email="anna@example.com", first_name="Anna").user
    make_deal(lead, amount="10", owner=None)
    make_deal(lead, amount="90", owner=anna)

    assert figures(forecast(company).owners) == {
        "Anna Jansen": (1, 90, 22),
        "No owner": (1, 10, 2),
    }


def test_the_chart_stacks_the_weighted_sum_and_the_rest(company, lead):
    make_deal(lead, amount="1000", expected_close=TODAY)

    chart = forecast(company).chart

    assert [one.values[0] for one in chart.series] == [250, 750]
    assert [bar.title for bar in chart.bars] == [
        "Nov 2026: 250 weighted by chance",
        "Nov 2026: 750 the rest of the sum",
    ]


def test_it_takes_two_queries_however_many_deals_there_are(
    company, lead, sales, django_assert_num_queries
):
    for months in range(5):
        make_deal(
            lead, owner=sales.user, expected_close=TODAY + timedelta(days=30 * months)
        )
    stages = list(Stage.objects.usual_of(company))

    with django_assert_num_queries(2):
        forecast_of(company, stages, Deal.objects.for_company(company), TODAY, "")


def test_each_number_leads_to_its_deals(company, lead, sales, client_as):
    today = timezone.localdate()
    add_pipeline(pipeline=Pipeline(company=company, name="Renewals"))
    for days in (-400, -1, 0, 20, 45, 100, 700):
        make_deal(
            lead,
            expected_close=today + timedelta(days=days),
            owner=sales.user if days % 2 else None,
        )
    make_deal(lead)
    make_deal(lead, currency="CHF", expected_close=today)
    client = client_as(sales)

    found = client.get("/deals/forecast/").context["forecast"]

    for row in (*found.months, *found.apart, *found.owners, found.total):
        own = client.get(f"/deals/list/?{row.query}&currency=EUR").context["page"]
        assert own.count == row.own.count, row.label
    assert found.total.own.count == 8


def test_the_page_of_one_owner_has_only_their_deals(lead, sales, client_as):
    make_deal(lead, owner=sales.user)
    make_deal(lead)

    found = (
        client_as(sales)
        .get(f"/deals/forecast/?owner={sales.user.pk}")
        .context["forecast"]
    )

    assert found.total.own.count == 1
