"""The rows of tasks, deals, leads and news: what each says, and that it is escaped."""

import html
import re
from datetime import timedelta

import pytest
from django.utils import timezone

from crm.models import Lead
from crm.models.tracking.origin import acting_as
from crm.services.tasks import finish_task
from tests.conftest import make_deal, make_lead, make_task

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
TYPED = """<b>{{ title }}</b> "a" & 'b'"""
ESCAPED = html.escape(TYPED)


@pytest.fixture
def today():
    return timezone.localdate()


def texts(page, element, css):
    """The texts of the elements with this class."""
    found = re.findall(
        rf'<{element} class="{css}[^"]*">(.*?)</{element}>',
        page.content.decode(),
        re.DOTALL,
    )
    return [
        " ".join(re.sub("<[^>]+>", " ", each).split()).replace(" ,", ",")
        for each in found
    ]


def test_rows_show_what_was_typed(client_as, sales, admin, company, today):
    with acting_as(admin.user):
        lead = make_lead(
            company,
            owner=sales.user,
            first_name=TYPED,
            organisation=TYPED,
            source=TYPED[:40],
        )
        deal = make_deal(
            lead, owner=sales.user, title=TYPED, expected_close=today - DAY
        )
        make_deal(lead, owner=sales.user, title=TYPED)
        make_lead(company, owner=sales.user, first_name=TYPED, organisation=TYPED)
    make_task(sales, title=TYPED, deal=deal, kind="call")
    make_task(sales, title=TYPED, lead=lead, due_on=today - DAY)
    client = client_as(sales)

    pages = [
        client.get(path).content.decode()
        for path in ("/my-day/", "/tasks/", lead.get_absolute_url())
    ]

    for page in pages:
        assert "<b>" not in page
        assert f"<bdi>{ESCAPED}</bdi>" in page
        assert f'aria-label="Done: {ESCAPED}"' in page
        assert f"{html.escape('/tasks/')}" in page
    for label in ("New close date for", "Add a task about"):
        assert f'aria-label="{label} {ESCAPED}' in pages[0]


def test_a_row_says_when_its_task_is_due(client_as, sales, today):
    make_task(sales, title="Late", due_on=today - 3 * DAY)
    make_task(sales, title="At its time", due_time="23:59")
    make_task(sales, title="Any time")
    make_task(sales, title="Later", due_on="2099-03-12", due_time="09:30")
    finish_task(task=make_task(sales, title="Done"))
    client = client_as(sales)

    due, done = (
        texts(client.get(path), "span", "todo-due")
        for path in ("/tasks/", "/tasks/?done=1")
    )

    assert due == [
        f"{today - 3 * DAY:%a}, 3 days late",
        "23:59",
        "any time",
        "Thu, Mar 2099, 09:30",
    ]
    assert len(done) == 1
    assert done[0].startswith(f"{today.day} {today:%b}, ")


def test_a_row_says_what_its_task_is_about_and_on_the_page_of_that_whose_it_is(
    client_as, sales, company
):
    deal = make_deal(
        make_lead(company, organisation="Harbour Freight"), title="Forty licences"
    )
    make_task(sales, deal=deal, kind="meeting")
    make_task(sales, lead=deal.lead)
    Lead.objects.filter(pk=deal.lead_id).update(first_name="Chloe", last_name="Bakker")
    client = client_as(sales)

    listed, of_lead, of_deal = (
        texts(client.get(path), "div", "todo-text")
        for path in ("/tasks/", deal.lead.get_absolute_url(), deal.get_absolute_url())
    )

    assert listed == [
        "Meeting: Call Ada Forty licences · Chloe Bakker · Harbour Freight",
        "Call Ada Chloe Bakker · Harbour Freight",
    ]
    assert of_lead == [
        f"Meeting: Call Ada Forty licences · {sales.user}",
        f"Call Ada {sales.user}",
    ]
    assert of_deal == [f"Meeting: Call Ada {sales.user}"]
