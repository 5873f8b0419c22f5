"""The board of deals by stage, and moving a deal."""

from decimal import Decimal

import pytest

from crm.models import CrmEvent, Stage
from crm.views import deals
from tests.conftest import make_deal, make_lead

pytestmark = pytest.mark.django_db


@pytest.fixture
def won(company):
    return Stage.objects.for_company(company).get(name="Won")


def column(response, name):
    return next(column for column in response.context["board"] if column.stage.name == name)


def test_each_stage_has_its_deals_last_changed_first_with_their_sums(client_as, sales, company, won):
    lead = make_lead(company)
    make_deal(lead, title="First", amount="1000.50")
    make_deal(lead, title="Second", amount="2000")
    make_deal(lead, title="Third", amount="300", currency="CHF")
    make_deal(lead, title="Fourth", amount=None, stage=won)

    response = client_as(sales).get("/deals/")

    discovery = column(response, "Discovery")
    assert [deal.title for deal in discovery.deals] == ["Third", "Second", "First"]
    assert discovery.count == 3
    assert discovery.sums == [("CHF", Decimal("300.00")), ("EUR", Decimal("3000.50"))]
    assert (column(response, "Won").count, column(response, "Won").sums) == (1, [])
    assert "300\u00a0CHF + €3,000.50" in response.content.decode()


def test_a_long_column_is_cut_and_leads_to_the_whole_list(client_as, sales, company, monkeypatch):
    monkeypatch.setattr(deals, "CARDS_PER_STAGE", 2)
    lead = make_lead(company)
    for title in ("First", "Second", "Third"):
        make_deal(lead, title=title)
    stage = Stage.objects.for_company(company).get(name="Discovery")
    client = client_as(sales)

    board = client.get("/deals/")
    everything = client.get(f"/deals/?stage={stage.pk}")

    assert [deal.title for deal in column(board, "Discovery").deals] == ["Third", "Second"]
    assert f'<a href="?stage={stage.pk}">Show all 3</a>' in board.content.decode()
    assert [deal.title for deal in everything.context["page"]] == ["Third", "Second", "First"]


def test_the_name_of_each_stage_leads_to_the_list_of_its_deals(client_as, sales, company):
    client = client_as(sales)

    board = client.get("/deals/").content.decode()

    for stage in Stage.objects.for_company(company):
        assert f'<h2><a href="?stage={stage.pk}">{stage}</a></h2>' in board
        assert client.get(f"/deals/?stage={stage.pk}").context["stage"] == stage


def test_a_deal_that_was_moved_comes_first_in_its_new_stage(client_as, sales, company, won):
    lead = make_lead(company)
    old = make_deal(lead, title="Old")
    make_deal(lead, title="Won before", stage=won)
    client = client_as(sales)

    client.post(f"/deals/{old.pk}/move/", {"stage": won.pk})

    assert [deal.title for deal in column(client.get("/deals/"), "Won").deals] == ["Old", "Won before"]
    everything = client.get(f"/deals/?stage={won.pk}").context["page"]
    assert [deal.title for deal in everything] == ["Old", "Won before"]


def test_moving_a_deal_to_won_fires_with_the_amount_of_that_moment(client_as, sales, company, won):
    deal = make_deal(make_lead(company))

    response = client_as(sales).post(f"/deals/{deal.pk}/move/", {"stage": won.pk}, follow=True)

    event = CrmEvent.objects.get(kind="deal_won")
    assert (event.deal, event.actor, event.amount, event.currency) == (deal, sales.user, Decimal("1250.00"), "EUR")
    assert [moved.title for moved in column(response, "Won").deals] == ["Forty licences"]
    assert "Forty licences is now in Won." in response.content.decode()


@pytest.mark.parametrize("stage", ["", "nonsense", "\x00", "9" * 30])
def test_a_stage_that_is_none_is_not_found(client_as, sales, company, stage):
    deal = make_deal(make_lead(company))
    client = client_as(sales)

    assert client.post(f"/deals/{deal.pk}/move/", {"stage": stage}).status_code == 404
    assert not CrmEvent.objects.filter(kind="deal_won").exists()


def test_the_number_of_queries_does_not_grow_with_the_deals(client_as, sales, company, django_assert_num_queries):
    lead = make_lead(company)
    for stage in Stage.objects.for_company(company):
        make_deal(lead, stage=stage)
        make_deal(lead, stage=stage)
    client = client_as(sales)

    # session, user, memberships, stages, cards, sums
    with django_assert_num_queries(6):
        client.get("/deals/")
