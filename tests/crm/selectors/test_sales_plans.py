"""PostgreSQL reads no more for the pages of a sales rep than they show and count, however large the company is."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from capi.selectors.dashboard import lead_numbers
from crm.lists.deals import DEALS
from crm.lists.definition import ROWS_PER_PAGE
from crm.models import (
    CrmEvent,
    CrmEventKind,
    Deal,
    FunnelStep,
    Lead,
    Membership,
    Stage,
    Task,
)
from crm.models.funnel import has_reached
from crm.models.roles import Role
from crm.selectors.deals import (
    BY_CHANGE,
    CARDS_PER_STAGE,
    LAST_CHANGED,
    board_of,
    cards_after,
    end_in,
)
from crm.selectors.forecasts import forecast_of
from crm.selectors.funnels import funnel_of
from crm.selectors.my_day import ROWS_AT_MOST, my_day_of
from crm.selectors.tasks import open_tasks_of, tasks_of
from crm.selectors.timeline import news_of
from tests.plans import indexes, nodes, plans, read, read_whole, rows_read

pytestmark = [pytest.mark.django_db, pytest.mark.thorough]

LEADS = 12_000


@pytest.fixture(scope="module")
def large_company(committed):
    """Committed, because PostgreSQL relies on an index alone only after VACUUM; once, because it takes seconds.

    The indexes are rebuilt: if two would do, PostgreSQL uses the one that earlier tests have bloated less. What it
    knows of them then comes from another VACUUM: without it, it read the tables in one run of six.
    """
    sizes = {
        "leads": LEADS,
        "deals": LEADS // 2,
        "tasks": LEADS,
        "notes": LEADS,
        "files": 0,
        "companies": 3,
    }
    with override_settings(LINKEDIN_SANDBOX=True), committed():
        call_command("make_crm", stdout=StringIO(), history=True, **sizes)
        with connection.cursor() as cursor:
            for model in (CrmEvent, Deal, Lead, Task):
                cursor.execute(f"REINDEX TABLE {model._meta.db_table}")
                cursor.execute(f"VACUUM ANALYZE {model._meta.db_table}")


@pytest.fixture
def seller(large_company):
    return Membership.objects.filter(
        company__name="Measured 1", role=Role.SALES
    ).earliest("pk")


def test_the_board_reads_the_deals_that_it_shows_and_sorts_no_others(seller):
    stages = list(Stage.objects.for_company(seller.company))
    deals = Deal.objects.for_company(seller.company)

    with plans(is_measured=True) as found:
        board = board_of(seller.company, stages, deals)

    numbers, first, lately, *_ = found
    (cards,) = (plan for plan in found if "crm_lead" in read(plan))
    # Recently closed deals are read from an index alone, once for all stages.
    for plan in (numbers, lately):
        assert [node["Node Type"] for node in nodes(plan, "crm_crmevent")] == [
            "Index Only Scan"
        ]
        assert "closed_deals" in indexes(plan)
    assert {node["Node Type"] for node in nodes(numbers, "crm_deal")} == {
        "Index Only Scan"
    }
    assert sum(len(column.cards) for column in board.columns) == 5 * CARDS_PER_STAGE
    assert "WindowAgg" not in str(first)
    assert "deal_board" in indexes(first)
    assert rows_read(cards, "crm_lead") == 5 * CARDS_PER_STAGE
    (closed,) = (
        plan
        for plan in found
        if "Aggregate" in str(plan) and read(plan) == {"crm_crmevent"}
    )
    (node,) = nodes(closed, "crm_crmevent")
    # Not the events of all companies, for the day of each card.
    assert "company_id" in node["Index Cond"]


def test_the_board_of_one_owner_counts_their_deals_in_an_index(seller):
    stages = list(Stage.objects.for_company(seller.company))
    deals = Deal.objects.for_company(seller.company).filter(owner=seller.user)
    count = deals.count()

    with plans(is_measured=True) as found:
        board = board_of(seller.company, stages, deals)

    assert sum(column.count_ever for column in board.columns) == count
    assert rows_read(found[0], "crm_deal") == count
    assert {node["Node Type"] for node in nodes(found[0], "crm_deal")} == {
        "Index Only Scan"
    }


def test_further_cards_are_found_in_the_index_wherever_they_begin(seller):
    stages = list(Stage.objects.for_company(seller.company))
    deals = Deal.objects.for_company(seller.company)
    open_stage = deals.filter(stage=stages[0])
    middle = open_stage.order_by(*LAST_CHANGED)[open_stage.count() // 2]
    ends = [
        (column.stage, end_in(column.end))
        for column in board_of(seller.company, stages, deals).columns
    ]

    for stage, end in [(stages[0], BY_CHANGE.position(middle)), *ends]:
        with plans(is_measured=True) as found:
            further = cards_after(seller.company, stage, deals, end)

        assert "deal_board" in indexes(found[0])
        assert rows_read(found, "crm_lead") == len(further.cards) == CARDS_PER_STAGE
        # Of the others, those that were closed lately are looked for among all.
        if stage.is_open:
            assert rows_read(found[0], "crm_deal") == 2 * CARDS_PER_STAGE
            assert "Sort" not in str(found[0])


def test_my_day_reads_of_the_leads_the_new_ones_of_the_member(seller):
    new = (
        Lead.objects.for_company(seller.company)
        .filter(owner=seller.user, status__name="New")
        .count()
    )

    with plans(is_measured=True) as found:
        day = my_day_of(seller)

    assert day.task_count > len(day.late.rows) + len(day.today.rows)
    (untouched,) = (plan for plan in found if "lead_by_owner" in indexes(plan))
    assert rows_read(untouched, "crm_lead") == new
    past = next(plan for plan in found if "deal_by_owner" in indexes(plan))
    # Those that are late.
    for counted, table in ((found[0], "crm_task"), (past, "crm_deal")):
        assert "Index Only Scan" in {
            node["Node Type"] for node in nodes(counted, table)
        }
        assert "WindowAgg" not in str(counted)
    assert not any(
        "WindowAgg" in str(plan) and {"crm_lead", "crm_deal"} <= read(plan)
        for plan in found[:2]
    )


def test_a_funnel_counts_leads_in_indexes_and_reads_none(seller):
    since = timezone.now() - timedelta(days=30)
    leads = (
        Lead.objects.for_company(seller.company).current().filter(created_at__gte=since)
    )
    count = leads.count()

    with plans(is_measured=True) as found:
        funnel = funnel_of(seller.company, leads, {})

    keys, counts, sums, _ = found
    assert funnel.total.leads[""] == count > 400
    for plan in (keys, counts, sums):
        assert rows_read(plan, "crm_lead") == count
        assert "lead_by_creation" in indexes(plan)
        assert {node["Node Type"] for node in nodes(plan, "crm_lead")} == {
            "Index Only Scan"
        }
    assert "qualified_leads" in indexes(counts)
    # Nothing is read of leads from other periods, which have other keys.
    events = CrmEvent.objects.filter(kind=CrmEventKind.LEAD_QUALIFIED, lead__in=leads)
    assert rows_read(counts, "crm_crmevent") == events.count()
    for plan in (counts, sums):
        assert (
            rows_read(plan, "crm_deal") == Deal.objects.filter(lead__in=leads).count()
        )


def test_a_page_of_leads_that_were_qualified_reads_the_events_of_no_others(seller):
    leads = (
        Lead.objects.for_company(seller.company)
        .current()
        .filter(has_reached(FunnelStep.QUALIFIED))
    )

    with plans(is_measured=True) as found:
        assert len(leads.order_by("-created_at", "-pk")[:25]) == 25

    assert rows_read(found, "crm_lead") < 200
    assert rows_read(found, "crm_crmevent") + rows_read(found, "crm_deal") < 200


def test_a_lead_reads_its_own_deals_for_its_tasks(seller):
    lead = (
        Lead.objects.for_company(seller.company)
        .exclude(deals=None)
        .order_by("pk")[LEADS // 4]
    )

    with plans(is_measured=True) as found:
        tasks = open_tasks_of(lead)

    assert {row.task.deal_id for row in tasks} <= {None, lead.deals.get().pk}
    assert rows_read(found, "crm_deal") <= 1 + len(tasks)
    assert rows_read(found, "crm_task") <= 10


def test_what_others_did_is_read_newest_first(seller):
    with plans(is_measured=True) as found:
        news = news_of(
            seller, since=timezone.now() - timedelta(days=700), at_most=ROWS_AT_MOST
        )

    assert len(news) == ROWS_AT_MOST
    assert {"crm_event_by_time", "changes_of_company"} <= indexes(found)
    assert (
        rows_read(found, "crm_crmevent") + rows_read(found, "crm_change") < LEADS / 10
    )


def test_the_list_of_deals_reads_the_deals_that_it_shows_and_counts_in_an_index(seller):
    with plans(is_measured=True) as found:
        page = DEALS.page_of(Deal.objects.for_company(seller.company), seller.company)
        assert len(page.rows) == ROWS_PER_PAGE

    assert "crm_deal" not in read_whole(found)
    (shown,) = (
        plan
        for plan in found
        if "deal_by_change" in indexes(plan) and "Limit" in str(plan)
    )
    # One more says whether there is a next page.
    assert rows_read(shown, "crm_deal") == ROWS_PER_PAGE + 1


def test_the_forecast_reads_no_deal_but_an_index(seller):
    stages = list(Stage.objects.for_company(seller.company))

    with plans(is_measured=True) as found:
        forecast = forecast_of(
            seller.company,
            stages,
            Deal.objects.for_company(seller.company),
            timezone.localdate(),
            "",
        )

    assert forecast.total.own.count > LEADS / 10
    assert "crm_deal" not in read_whole(found)
    assert "deal_board" in indexes(found)


@pytest.mark.parametrize("sort", ["lead", "-lead"])
def test_deals_by_lead_follow_an_index_of_leads(seller, sort):
    with plans(is_measured=True) as found:
        page = DEALS.page_of(
            Deal.objects.for_company(seller.company), seller.company, sort
        )
        assert len(page.rows) == ROWS_PER_PAGE

    assert any("lead_by_name" in indexes(plan) for plan in found)
    assert rows_read(found, "crm_lead") < LEADS / 10


@pytest.mark.parametrize("sort", ["deal", "-amount", "close"])
def test_deals_are_sorted_by_their_keys_and_only_those_of_the_page_are_read(
    seller, sort
):
    with plans(is_measured=True) as found:
        page = DEALS.page_of(
            Deal.objects.for_company(seller.company), seller.company, sort
        )

    order, shown, *_ = (
        plan
        for plan in found
        if "crm_deal" in read(plan) and "Aggregate" not in str(plan)
    )
    assert len(page.rows) == ROWS_PER_PAGE
    assert max(node["Plan Width"] for node in nodes(order, "crm_deal")) < 50
    assert rows_read(shown, "crm_deal") == ROWS_PER_PAGE


@pytest.mark.parametrize("sort", ["stage", "-stage"])
def test_deals_by_stage_are_joined_with_no_stage(seller, sort):
    stages = Stage.objects.for_company(seller.company).order_by("position")

    with plans() as found:
        page = DEALS.page_of(
            Deal.objects.for_company(seller.company), seller.company, sort
        )
        deals = list(page.rows)

    assert {deal.stage for deal in deals} == {
        stages.last() if sort.startswith("-") else stages.first()
    }
    assert [deal.pk for deal in deals] == sorted(
        (deal.pk for deal in deals), reverse=sort.startswith("-")
    )
    assert not any({"crm_deal", "crm_stage"} <= read(plan) for plan in found)


def test_a_search_of_deals_reads_no_lead(seller):
    own = Deal.objects.for_company(seller.company)

    with plans(is_measured=True) as found:
        count = own.search(seller.company, "example").count()

    assert count > own.count() / 2
    assert "crm_lead" not in read(found)


def test_a_rare_word_in_a_deal_is_found_by_an_index(seller):
    lead = (
        Lead.objects.for_company(seller.company)
        .exclude(deals=None)
        .exclude(email="")
        .latest("pk")
    )

    with plans(is_measured=True) as found:
        deals = list(
            Deal.objects.for_company(seller.company).search(seller.company, lead.email)
        )

    assert deals == [lead.deals.get()]
    assert "deal_search" in indexes(found)
    assert rows_read(found, "crm_deal") <= 5


def test_a_board_of_very_many_found_deals_reads_the_leads_of_its_cards_alone(
    seller, monkeypatch
):
    monkeypatch.setattr("crm.selectors.deals.RANKED_AT_MOST", 100)
    stages = list(Stage.objects.for_company(seller.company))
    deals = Deal.objects.for_company(seller.company).search(seller.company, "example")

    with plans(is_measured=True) as found:
        board = board_of(seller.company, stages, deals, is_searched=True)

    assert len(found) <= 7
    # Not once for open deals and once more for the others.
    assert len(nodes(found[0], "crm_deal")) == 1
    assert sum(len(column.cards) for column in board.columns) == 5 * CARDS_PER_STAGE
    assert rows_read(found, "crm_lead") == 5 * CARDS_PER_STAGE


def test_what_is_done_is_listed_by_an_index(seller):
    with plans(is_measured=True) as found:
        tasks = list(tasks_of(seller, done=True)[:25])

    assert len(tasks) == 25
    assert rows_read(found, "crm_task") <= 30


def test_leads_are_counted_without_reading_them(seller):
    with plans(is_measured=True) as found:
        numbers = lead_numbers(seller.company)

    assert numbers.open > LEADS / 2
    assert "crm_lead" not in read_whole(found)
