"""The pages of tasks: adding, ticking off, moving, one's own list, and where each person's day begins."""

import re
from datetime import date, time, timedelta

import pytest
from django.utils import timezone

from crm.models import Task, TaskReminder
from crm.models.task import next_monday
from crm.services.tasks import finish_task, move_task
from crm.views import task_steps
from tests.conftest import make_deal, make_lead, make_task

pytestmark = pytest.mark.django_db


def filled_in(membership, **fields):
    return {
        "title": "Call Ada",
        "kind": "call",
        "due_on": "2099-03-12",
        "owner": membership.user.pk,
        **fields,
    }


def test_sales_begin_with_their_day_and_the_others_with_the_dashboard(
    client_as, admin, sales, ops
):
    homes = [client_as(member).get("/").url for member in (admin, sales, ops)]

    assert homes == ["/dashboard/", "/my-day/", "/dashboard/"]


def test_everyone_finds_the_dashboard_and_those_who_have_tasks_their_day(
    client_as, admin, sales, ops
):
    pages = {
        member.role: client_as(member).get("/dashboard/").content.decode()
        for member in (admin, sales, ops)
    }

    assert all('href="/dashboard/"' in page for page in pages.values())
    assert {role for role, page in pages.items() if 'href="/my-day/"' in page} == {
        "admin",
        "sales",
    }


@pytest.mark.parametrize("about", ["lead", "deal", ""])
def test_a_task_is_added_about_what_its_page_is_about(client_as, sales, company, about):
    deal = make_deal(make_lead(company))
    subject = {"lead": deal.lead, "deal": deal, "": None}[about]
    query = f"?{about}={subject.pk}" if subject else ""

    answer = client_as(sales).post(
        f"/tasks/new/{query}", filled_in(sales, due_time="14:30")
    )

    task = Task.objects.get()
    assert answer.url == (subject.get_absolute_url() if subject else "/tasks/")
    assert (task.subject, task.kind, str(task.due_time), task.owner) == (
        subject,
        "call",
        "14:30:00",
        sales.user,
    )


def test_a_form_that_is_sent_twice_adds_one_task(client_as, sales):
    client = client_as(sales)
    form = filled_in(sales, form_key="0" * 32)

    answers = [client.post("/tasks/new/?next=/my-day/", form) for _ in range(2)]

    assert [answer.url for answer in answers] == ["/my-day/", "/my-day/"]
    assert Task.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("title", "", "This field is required"), ("title", "x" * 161, "at most 160 characters"),
        ("due_on", "tomorrow", "Enter a date."), ("due_on", "0001-01-01", "Enter a date from 2000 to 9998."),
        ("due_on", "9999-12-31", "Enter a date from 2000 to 9998."), ("due_time", "25:00", "Enter a time such as"),
        ("owner", "", "This field is required"), ("owner", "999999", "Choose one of your colleagues."),
        ("kind", "party", "not one of the available choices"),
    ],
)  # fmt: skip
def test_bad_input_is_named_and_nothing_is_saved(
    client_as, sales, field, value, message
):
    page = client_as(sales).post("/tasks/new/", filled_in(sales, **{field: value}))

    assert message in page.content.decode()
    assert not Task.objects.exists()


def test_no_task_is_added_about_someone_who_was_erased(client_as, sales, company):
    lead = make_lead(company)
    deal = make_deal(lead)
    type(lead).objects.update(
        erased_at=timezone.now(), first_name="", email="", share_with_ad_platforms=False
    )
    client = client_as(sales)

    pages = [
        client.post(f"/tasks/new/?{query}", filled_in(sales))
        for query in (f"lead={lead.pk}", f"deal={deal.pk}")
    ]

    assert [page.status_code for page in pages] == [404, 404]
    assert not Task.objects.exists()


@pytest.mark.parametrize(
    ("step", "days"),
    [("tomorrow", lambda today: today + timedelta(days=1)), ("next_week", next_monday)],
)
def test_a_task_is_moved_with_one_click(client_as, sales, step, days):
    task = make_task(sales)

    answer = client_as(sales).post(
        f"/tasks/{task.pk}/step/", {"step": step, "next": "/my-day/"}
    )

    assert answer.url == "/my-day/"
    assert Task.objects.get().due_on == days(timezone.localdate())


def test_a_task_is_done_and_reopened_with_one_click(client_as, sales):
    task, client = make_task(sales), client_as(sales)

    client.post(f"/tasks/{task.pk}/step/", {"step": "done"})
    listed = [
        client.get("/tasks/").content.decode(),
        client.get("/tasks/?done=1").content.decode(),
    ]
    client.post(f"/tasks/{task.pk}/step/", {"step": "reopen"})

    assert ["Call Ada</bdi>" in page for page in listed] == [False, True]
    assert not Task.objects.get().is_done


@pytest.mark.parametrize("step", ["", "delete", "\x00"])
def test_an_unknown_step_is_not_found(client_as, sales, step):
    task = make_task(sales)

    assert (
        client_as(sales).post(f"/tasks/{task.pk}/step/", {"step": step}).status_code
        == 404
    )


def test_a_task_is_edited_and_deleted(client_as, sales):
    task, client = make_task(sales), client_as(sales)

    client.post(
        f"/tasks/{task.pk}/edit/", filled_in(sales, title="Write to Ada", reminder="on")
    )
    edited = Task.objects.get()
    asked = client.get(f"/tasks/{task.pk}/delete/")
    client.post(f"/tasks/{task.pk}/delete/")

    assert (edited.title, edited.due_on, edited.reminder) == (
        "Write to Ada",
        date(2099, 3, 12),
        True,
    )
    assert "Delete <bdi>Write to Ada</bdi>?" in asked.content.decode()
    assert not Task.objects.exists()


def test_of_two_who_edit_a_task_at_once_nobody_overwrites_the_other_unseen(
    client_as, sales, admin
):
    client, task = (
        client_as(sales),
        make_task(sales, due_on=date(2099, 3, 12), due_time=time(14, 30)),
    )
    page = f"/tasks/{task.pk}/edit/"
    hidden = re.findall(
        r'<input type="hidden" name="(initial-\w+)"(?: value="([^"]*)")?',
        client.get(page).content.decode(),
    )
    opened = {
        "title": task.title,
        "kind": task.kind,
        "due_on": "2099-03-12",
        "due_time": "14:30",
        **dict(hidden),
    }
    client_as(admin).post(
        page, {**opened, "owner": admin.user_id, "due_on": "2099-03-13"}
    )

    saved = client.post(page, {**opened, "owner": sales.user_id, "title": "Call Ada"})
    refused = client.post(
        page, {**opened, "owner": sales.user_id, "due_on": "2099-03-14"}
    )

    task.refresh_from_db()
    assert saved.status_code == 302
    assert (task.title, task.owner, task.due_on, task.due_time) == (
        "Call Ada", admin.user, date(2099, 3, 13), time(14, 30)
    )  # fmt: skip
    assert "this was changed after you opened it" in refused.content.decode()


def test_the_pages_of_lead_and_deal_show_their_open_tasks(client_as, sales, company):
    deal = make_deal(make_lead(company))
    make_task(sales, title="About Ada", lead=deal.lead)
    make_task(sales, title="About licences", deal=deal)
    finish_task(task=make_task(sales, title="Long done", deal=deal))
    client = client_as(sales)

    lead_page, deal_page = (
        client.get(row.get_absolute_url()).content.decode() for row in (deal.lead, deal)
    )

    names = ("About Ada", "About licences", "Long done")
    assert [name in lead_page for name in names] == [True, True, False]
    assert [name in deal_page for name in names] == [False, True, False]


def test_ops_see_the_tasks_of_a_lead_and_can_do_nothing_about_them(
    client_as, sales, ops, company
):
    lead = make_lead(company)
    make_task(sales, lead=lead)

    page = client_as(ops).get(lead.get_absolute_url()).content.decode()

    assert "Call Ada" in page
    assert "/tasks/" not in page


def test_an_empty_day_says_what_will_be_there(client_as, sales):
    page = client_as(sales).get("/my-day/").content.decode()

    for words in (
        "Nothing due today",
        "You have no new leads",
        "You have no open deals",
        "What others change",
    ):
        assert words in page


UNDO_URL = re.compile(r'action="(/tasks/\d+/undo/[^"]+)"')


@pytest.mark.parametrize("step", ["done", "tomorrow", "next_week"])
def test_a_step_can_be_undone_from_its_message(client_as, sales, step):
    client = client_as(sales)
    task = make_task(sales, due_on=date(2099, 3, 12), reminder=True)
    due_on = task.due_on
    page = client.post(f"/tasks/{task.pk}/step/", {"step": step}, follow=True)

    (url,) = UNDO_URL.findall(page.content.decode())
    undone = client.post(url, follow=True)

    task.refresh_from_db()
    assert (task.is_done, task.due_on) == (False, due_on)
    assert f"Undone: {task} is as before." in undone.content.decode()
    assert TaskReminder.objects.filter(task=task).exists()


def test_undoing_done_twice_leaves_a_task_done_at_its_first_time(client_as, sales):
    client = client_as(sales)
    task = make_task(sales)
    finish_task(task=task)
    done_at = task.done_at
    page = client.post(f"/tasks/{task.pk}/step/", {"step": "done"}, follow=True)

    client.post(UNDO_URL.findall(page.content.decode())[0])

    task.refresh_from_db()
    assert task.done_at == done_at


def test_a_task_that_someone_has_changed_since_is_not_put_back(client_as, sales):
    client = client_as(sales)
    task = make_task(sales)
    page = client.post(f"/tasks/{task.pk}/step/", {"step": "tomorrow"}, follow=True)
    move_task(task=task, due_on=date(2099, 1, 1))

    (url,) = UNDO_URL.findall(page.content.decode())
    answer = client.post(url, follow=True)

    task.refresh_from_db()
    assert task.due_on == date(2099, 1, 1)
    assert "has been changed since" in answer.content.decode()


def test_undoing_a_step_ends_after_five_minutes(client_as, sales, monkeypatch):
    client = client_as(sales)
    task = make_task(sales)
    page = client.post(f"/tasks/{task.pk}/step/", {"step": "done"}, follow=True)
    monkeypatch.setattr(task_steps, "UNDO_FOR", timedelta(0))

    (url,) = UNDO_URL.findall(page.content.decode())
    answer = client.post(url, follow=True)

    task.refresh_from_db()
    assert task.is_done
    assert "undo works for five minutes" in answer.content.decode()


def test_an_undo_that_was_not_signed_for_this_task_is_refused(client_as, sales):
    client = client_as(sales)
    first, second = (make_task(sales) for _ in range(2))
    page = client.post(f"/tasks/{first.pk}/step/", {"step": "done"}, follow=True)
    (url,) = UNDO_URL.findall(page.content.decode())

    finish_task(task=second)
    client.post(url.replace(f"/{first.pk}/", f"/{second.pk}/"))

    assert not Task.objects.open().exists()
