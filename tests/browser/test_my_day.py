"""My day in the browser: ticking off and moving tasks where they stand, at both sizes, with and without scripts."""

from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from crm.models import Task
from tests.browser.looks import assert_fit_to_use_in_each_look
from tests.conftest import make_deal, make_lead, make_task, sign_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def day(sales, company):
    """A bit of everything."""
    today = timezone.localdate()
    lead = make_lead(
        company,
        owner=sales.user,
        organisation="Harbour Freight",
        phone="+31 20 555 0178",
    )
    deal = make_deal(
        make_lead(company), owner=sales.user, expected_close=today - timedelta(days=9)
    )
    make_deal(deal.lead, owner=sales.user, title="Team seats")
    make_task(
        sales,
        title="Call Chloe about the offer",
        kind="call",
        deal=deal,
        due_on=today - timedelta(days=3),
    )
    make_task(sales, title="Demo for the buying team", kind="meeting", due_time="23:59")
    return lead


def test_tasks_are_ticked_off_and_moved_where_they_stand(page: Page, sales, day):
    sign_in(page, sales)
    page.goto(page.server_url)
    expect(page.get_by_role("heading", level=1, name="My day")).to_be_visible()

    page.get_by_role("button", name="Done: Call Chloe").click()
    expect(page.locator("#messages")).to_contain_text(
        "Call Chloe about the offer is done."
    )
    page.get_by_text("Demo for the buying team").hover()
    page.get_by_role("button", name="Next week: Demo").click()

    expect(page.get_by_text("Nothing due today")).to_be_visible()
    assert Task.objects.open().get().due_on > timezone.localdate()


def test_ctrl_z_undoes_a_task_that_was_ticked_off_by_mistake(page: Page, sales, day):
    sign_in(page, sales)
    page.goto(page.server_url)
    page.get_by_role("button", name="Done: Call Chloe").click()
    expect(page.locator("#messages")).to_contain_text("is done.")

    page.keyboard.press("Control+z")

    expect(page.locator("#messages")).to_contain_text("is as before.")
    expect(page.get_by_role("button", name="Done: Call Chloe")).to_be_visible()
    assert Task.objects.open().count() == 2


def test_without_scripts_the_same_buttons_work(plain_page: Page, sales, day):
    sign_in(plain_page, sales)
    plain_page.goto(plain_page.server_url)

    plain_page.get_by_role("button", name="Done: Call Chloe").click()

    expect(
        plain_page.get_by_text("Call Chloe about the offer is done.")
    ).to_be_visible()
    expect(plain_page.locator(".todo")).to_have_count(1)


def test_a_task_is_added_on_the_page_of_a_lead(page: Page, sales, day):
    sign_in(page, sales)
    page.goto(f"{page.server_url}{day.get_absolute_url()}")

    page.get_by_role("link", name="Add task").click()
    page.get_by_label("Title").fill("Send the offer")
    page.get_by_role("button", name="Add task").click()

    expect(page.locator("#open-tasks")).to_contain_text("Send the offer")


@pytest.mark.parametrize(
    "path", ["/my-day/", "/tasks/", "/tasks/new/", "/tasks/calendar/"]
)
def test_each_page_is_fit_to_use_in_each_look(page: Page, sales, day, path):
    sign_in(page, sales)
    page.goto(f"{page.server_url}{path}")

    assert_fit_to_use_in_each_look(page)
