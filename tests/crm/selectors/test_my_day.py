"""My day: what is on it, what is not, and that more of it takes no more queries."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from crm.models import Deal, Lead, LeadStatus, Stage
from crm.models.tracking.origin import acting_as
from crm.selectors.my_day import my_day_of
from crm.services.tasks import finish_task
from tests.conftest import make_deal, make_lead, make_note, make_task

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def today():
    return timezone.localdate()


def titles(section):
    return [row.task.title for row in section.rows]


def test_tasks_are_those_of_today_and_before(sales, admin, today):
    make_task(sales, title="Later", due_on=today + DAY)
    make_task(sales, title="Any time")
    make_task(sales, title="Late", due_on=today - DAY)
    make_task(sales, title="Very late", due_on=today - 3 * DAY)
    make_task(sales, title="At four", due_time="16:00")
    make_task(admin, title="Another's")
    finish_task(task=make_task(sales, title="Done"))

    day = my_day_of(sales)

    assert titles(day.late) == ["Very late", "Late"]
    assert titles(day.today) == ["At four", "Any time"]
    assert day.task_count == 4


def test_without_a_status_that_means_new_no_lead_waits(sales, company):
    contacted = LeadStatus.objects.get(company=company, name="Contacted")
    make_lead(company, owner=sales.user, status=contacted)
    LeadStatus.objects.for_company(company).filter(meaning="new").delete()

    assert (my_day_of(sales).leads.rows, my_day_of(sales).leads.total) == ([], 0)


def test_new_leads_are_those_of_mine_that_nobody_has_touched(sales, admin, company):
    contacted = LeadStatus.objects.get(company=company, name="Contacted")
    first, second = (
        make_lead(company, first_name=name, owner=sales.user)
        for name in ("First", "Second")
    )
    make_lead(company, first_name="Another's", owner=admin.user)
    make_lead(company, first_name="Nobody's")
    make_lead(company, first_name="Contacted", owner=sales.user, status=contacted)
    make_task(
        sales,
        lead=make_lead(company, first_name="With a task", owner=sales.user),
        due_on="2099-03-12",
    )
    make_deal(make_lead(company, first_name="With a deal", owner=sales.user))
    make_note(
        admin, make_lead(company, first_name="Called", owner=sales.user), kind="call"
    )
    Lead.objects.filter(pk=second.pk).update(created_at=timezone.now() - 3 * DAY)

    leads = my_day_of(sales).leads

    assert [row.lead for row in leads.rows] == [second, first]
    assert [(row.waiting.replace("\xa0", " "), row.tone) for row in leads.rows] == [
        ("3 days", "bad"), ("0 minutes", "plain"),
    ]  # fmt: skip


def test_of_very_many_new_leads_the_newest_are_looked_through_and_the_page_says_so(
    client_as, sales, company, monkeypatch
):
    monkeypatch.setattr("crm.selectors.my_day.LEADS_AT_MOST", 3)
    first, second, third = (
        make_lead(company, first_name=name, owner=sales.user) for name in "ABC"
    )
    client = client_as(sales)
    # All three were checked.
    assert "Among your last" not in client.get("/my-day/").content.decode()
    assert ([row.lead for row in my_day_of(sales).leads.rows], my_day_of(sales).leads.newest) == (
        [first, second, third], None,
    )  # fmt: skip

    fourth = make_lead(company, first_name="D", owner=sales.user)

    day = my_day_of(sales)
    assert (
        [row.lead for row in day.leads.rows],
        day.leads.total,
        day.leads.newest,
    ) == ([second, third, fourth], 3, 3)
    assert "Among your last 3 new leads" in client.get("/my-day/").content.decode()
    for lead in (second, third, fourth):
        make_note(sales, lead)
    assert my_day_of(sales).leads.total == 0
    text = " ".join(client.get("/my-day/").content.decode().split())
    assert "Each of your last 3 new leads has a task, a note, a file or a deal." in text


def test_each_deal_that_needs_something_is_there_once(sales, admin, company, today):
    lead = make_lead(company)
    won = Stage.objects.get(company=company, name="Won")
    past = make_deal(lead, owner=sales.user, title="Past", expected_close=today - DAY)
    idle = make_deal(lead, owner=sales.user, title="Idle", expected_close=today)
    done = make_deal(lead, owner=sales.user, title="Only a task that is done")
    planned = make_deal(lead, owner=sales.user, title="Planned")
    make_deal(
        lead, owner=sales.user, title="Won", stage=won, expected_close=today - DAY
    )
    make_deal(lead, owner=admin.user, title="Another's")
    make_task(sales, deal=planned, due_on="2099-03-12")
    finish_task(task=make_task(sales, deal=done))

    day = my_day_of(sales)

    assert [(row.deal, row.days) for row in day.past_close.rows] == [(past, 1)]
    assert [row.deal for row in day.without_task.rows] == [idle, done]
    assert day.deal_count == 3


def test_a_long_list_is_cut_and_says_so(sales, company):
    for _ in range(10):
        make_deal(make_lead(company), owner=sales.user)

    section = my_day_of(sales).without_task

    assert (len(section.rows), section.total, section.hidden) == (8, 10, 2)


def test_news_is_what_others_do_with_leads_and_deals_of_mine(sales, admin, company):
    with acting_as(sales.user):
        lead = make_lead(company, owner=sales.user)
        deal = make_deal(lead, owner=sales.user)
    won = Stage.objects.get(company=company, name="Won")
    with acting_as(admin.user):
        Deal.objects.filter(pk=deal.pk).update(stage=won)
        make_lead(company, first_name="Another's", owner=admin.user)
        make_lead(company, first_name="Given to me", owner=sales.user)

    with CaptureQueriesContext(connection) as queries:
        news = my_day_of(sales).news

    # The page doesn't show the outcomes.
    assert not [query for query in queries if "capi_" in query["sql"]]
    assert {(entry.title, str(entry.subject)) for entry in news} == {
        ("Deal won", "Forty licences"), ("Lead created", "Given to me"),
    }  # fmt: skip


def test_what_happened_before_yesterday_is_no_news(sales, admin, company):
    with acting_as(admin.user):
        lead = make_lead(company, owner=sales.user)
    lead.crm_events.update(occurred_at=timezone.now() - 2 * DAY)

    assert my_day_of(sales).news == []


def fill(sales, admin, today, count):
    with acting_as(admin.user):
        for _ in range(count):
            lead = make_lead(sales.company, owner=sales.user)
            make_lead(sales.company, owner=sales.user)
            deal = make_deal(lead, owner=sales.user, expected_close=today - DAY)
            make_deal(lead, owner=sales.user)
            Deal.objects.filter(pk=deal.pk).update(amount="1999.00")
            make_task(sales, deal=deal)
            make_task(sales, lead=lead, due_on=today - DAY)


def test_the_page_takes_as_many_queries_for_much_as_for_little(
    client_as, sales, admin, today
):
    client, taken = client_as(sales), []
    for count in (1, 9):
        fill(sales, admin, today, count)
        with CaptureQueriesContext(connection) as queries:
            page = client.get("/my-day/")
        assert page.status_code == 200
        taken.append(len(queries))

    assert taken[0] == taken[1] <= 24, taken
