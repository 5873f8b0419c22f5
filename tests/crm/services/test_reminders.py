"""The mail that reminds of a task: in time, once, to its owner, and only while it is still wanted."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from django.utils import timezone

from crm.models import Company, Membership, TaskReminder
from crm.services import reminders
from crm.services.tasks import finish_task, move_task, reopen_task, save_task
from tests.conftest import make_task

pytestmark = pytest.mark.django_db

FAR = date(2099, 3, 12)


@pytest.fixture
def company(company):
    Company.objects.update(time_zone="Europe/Amsterdam")
    company.refresh_from_db()
    return company


def due():
    return list(TaskReminder.objects.values_list("due_at", flat=True))


def make_due():
    TaskReminder.objects.update(due_at=timezone.now() - timedelta(minutes=1))


@pytest.mark.parametrize(
    ("due_time", "remind_at"),
    [
        (time(14, 30), datetime(2099, 3, 12, 12, 30, tzinfo=UTC)),
        (None, datetime(2099, 3, 12, 7, tzinfo=UTC)),
    ],
)
def test_it_comes_an_hour_ahead_or_in_the_morning_in_the_companys_time_zone(
    sales, due_time, remind_at
):
    make_task(sales, due_on=FAR, due_time=due_time, reminder=True)

    assert due() == [remind_at]


def test_it_follows_the_task(sales):
    task = make_task(sales, due_on=FAR, reminder=True)

    move_task(task=task, due_on=FAR + timedelta(days=1))
    assert due() == [datetime(2099, 3, 13, 7, tzinfo=UTC)]

    finish_task(task=task)
    assert due() == []

    reopen_task(task=task)
    assert len(due()) == 1

    task.reminder = False
    save_task(task=task)
    assert due() == []


def test_nobody_is_reminded_of_what_is_past(sales):
    make_task(sales, due_on=date(2020, 3, 12), reminder=True)

    assert due() == []


def test_the_owner_is_reminded_once(sales, mailoutbox):
    task = make_task(
        sales,
        title="Call\nAda",
        due_on=FAR,
        due_time=time(14, 30),
        reminder=True,
        kind="call",
    )
    make_due()

    assert (reminders.send_due(), reminders.send_due()) == (1, 0)

    (mail,) = mailoutbox
    assert (mail.to, mail.subject) == ([sales.user.email], "Call: Call Ada")
    assert "Thursday, 12 March 2099, 14:30 (Europe/Amsterdam)" in mail.body
    assert f"/tasks/{task.pk}/edit/" in mail.body


@pytest.mark.parametrize(
    "change", ["done", "deactivated", "closed", "nobody's", "over"]
)
def test_nobody_is_reminded_in_vain(sales, company, mailoutbox, change):
    task = make_task(sales, due_on=FAR, reminder=True)
    make_due()
    rows = type(task).objects.filter(pk=task.pk)
    if change == "done":
        rows.update(done_at=timezone.now())
    elif change == "deactivated":
        Membership.objects.update(is_active=False)
    elif change == "closed":
        Company.objects.update(is_active=False)
    elif change == "nobody's":
        rows.update(owner=None)
    else:
        rows.update(due_on=date(2020, 3, 12))

    assert reminders.send_due() == 0

    assert (mailoutbox, due()) == ([], [])


def test_a_mail_server_that_fails_is_tried_again(sales, monkeypatch, mailoutbox):
    make_task(sales, due_on=FAR, reminder=True)
    make_due()
    with monkeypatch.context() as broken:
        broken.setattr("django.core.mail.EmailMessage.send", lambda self: 1 / 0)
        assert reminders.send_due() == 0
    assert len(due()) == 1

    make_due()

    assert reminders.send_due() == 1
    assert len(mailoutbox) == 1
