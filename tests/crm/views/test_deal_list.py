"""The list of all deals: filtered, sorted and paged through like that of leads."""

from datetime import date, timedelta

import pytest
from django.utils import timezone

from crm.models import Lead, LostReason, Pipeline, Stage
from crm.models.lead import PERSONAL
from crm.services.pipelines import add_pipeline
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db


def titles(response):
    return [deal.title for deal in response.context["page"]]


@pytest.fixture
def renewals(company):
    return add_pipeline(pipeline=Pipeline(company=company, name="Renewals"))


@pytest.fixture
def price(company):
    return LostReason.objects.create(company=company, name="Price")


@pytest.fixture
def four(company, sales, renewals, price):
    lead = make_lead(company, first_name="Ada", last_name="Byron")
    lost = Stage.objects.usual_of(company).get(name="Lost")
    make_deal(
        lead,
        title="Open",
        amount="300",
        owner=sales.user,
        expected_close=date(2027, 1, 15),
    )
    make_deal(lead, title="Dear", amount="100", stage=lost, lost_reason=price)
    make_deal(
        lead, title="Lost", amount=None, stage=lost, expected_close=date(2026, 3, 1)
    )
    make_deal(
        lead,
        title="Again",
        amount="200",
        currency="CHF",
        stage=Stage.objects.of(renewals)[0],
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["Again", "Lost", "Dear", "Open"]),
        ("pipeline={renewals}", ["Again"]),
        ("stage={lost}", ["Lost", "Dear"]),
        ("owner={sales}", ["Open"]),
        ("owner=null", ["Again", "Lost", "Dear"]),
        ("meaning=open", ["Again", "Open"]),
        ("lost_reason={price}", ["Dear"]),
        ("lost_reason=null", ["Lost"]),
        ("close_from=2026-03-02", ["Open"]),
        ("close_until=2026-03-01", ["Lost"]),
        ("dated=no", ["Again", "Dear"]),
        ("currency=CHF", ["Again"]),
        ("pipeline={sales_pipeline}&meaning=lost&dated=no", ["Dear"]),
        ("pipeline=nonsense&stage=0&meaning=x&close_from=yesterday", []),
        ("sort=deal", ["Again", "Dear", "Lost", "Open"]),
        ("sort=-amount", ["Open", "Again", "Dear", "Lost"]),
        ("sort=amount", ["Dear", "Again", "Open", "Lost"]),
        ("sort=-close", ["Open", "Lost", "Again", "Dear"]),
        ("sort=stage", ["Open", "Dear", "Lost", "Again"]),
        ("sort=nonsense", ["Again", "Lost", "Dear", "Open"]),
    ],
)
def test_the_list_is_filtered_and_sorted_by_its_address(
    client_as, sales, company, four, renewals, price, query, found
):
    ids = {
        "renewals": renewals.pk, "lost": Stage.objects.usual_of(company).get(name="Lost").pk, "sales": sales.user.pk,
        "price": price.pk, "sales_pipeline": Pipeline.objects.default_of(company).pk,
    }  # fmt: skip

    response = client_as(sales).get(f"/deals/list/?{query.format(**ids)}")

    assert titles(response) == found


def test_nothing_of_another_company_is_listed_offered_or_found(
    client_as, sales, other_company, four
):
    theirs = make_deal(make_lead(other_company), title="Theirs")
    LostReason.objects.create(company=other_company, name="Their reason")
    client = client_as(sales)

    for query in (
        f"stage={theirs.stage_id}",
        f"pipeline={theirs.stage.pipeline_id}",
        "",
    ):
        response = client.get(f"/deals/list/?{query}")

        assert titles(response) == ([] if query else ["Again", "Lost", "Dear", "Open"])
        assert "Their" not in response.content.decode()


def test_each_row_offers_the_stages_of_its_own_pipeline(
    client_as, sales, four, renewals
):
    rows = {
        deal.title: stages
        for deal, _, stages, _ in client_as(sales).get("/deals/list/").context["rows"]
    }

    assert {stage.pipeline for stage in rows["Again"]} == {renewals}
    assert {stage.pipeline.name for stage in rows["Open"]} == {"Sales"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("lead_source=Fair", {"Of the fair"}),
        ("lead_has_source=False", {"Of nobody"}),
        ("lead_has_source=True", {"Of the fair"}),
        ("lead_owner=null", {"Of nobody"}),
        ("lead_created_from=2999-01-01", set()),
        ("lead_created_until=2999-01-01", {"Of the fair", "Of nobody"}),
    ],
)
def test_deals_are_found_by_what_is_known_of_their_leads(
    client_as, sales, company, query, expected
):
    make_deal(make_lead(company, source="Fair", owner=sales.user), title="Of the fair")
    make_deal(make_lead(company), title="Of nobody")
    erased = make_deal(make_lead(company), title="Of an erased one").lead
    nothing = {"share_with_ad_platforms": False, **dict.fromkeys(PERSONAL, "")}
    Lead.objects.filter(pk=erased.pk).update(erased_at=timezone.now(), **nothing)

    page = client_as(sales).get(f"/deals/list/?{query}").context["page"]

    assert {deal.title for deal in page} == expected


def test_the_number_of_queries_does_not_grow_with_the_deals(
    client_as, sales, company, four, django_assert_num_queries
):
    client = client_as(sales)
    client.get("/deals/list/")
    lead = make_lead(company)
    for days in range(10):
        make_deal(lead, expected_close=timezone.localdate() + timedelta(days=days))

    # session, user, memberships, custom fields, views; whether there are pipelines and reasons to choose from, these,
    # owners, stages and tags, and of leads sources and owners; count, keys and rows of the page, its leads, owners,
    # stages, reasons and tags, stages to move to
    with django_assert_num_queries(23):
        client.get("/deals/list/")


def test_an_empty_list_says_what_will_be_there(client_as, sales, company):
    assert "No deals yet" in client_as(sales).get("/deals/list/").content.decode()


def test_with_the_linkedin_column_each_cell_has_its_heading(client_as, sales, four):
    sales.shows_outcomes = True
    sales.save()

    page = client_as(sales).get("/deals/list/").content.decode()

    first_row = page.partition("<tbody")[2].partition("</tr>")[0]
    assert page.count("<th\n") + page.count("<th ") == first_row.count("<td ") > 6
