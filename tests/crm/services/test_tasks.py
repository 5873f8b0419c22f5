"""Tasks: finished, reopened, moved, and never written about someone who has been erased or a deal that is gone."""

from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from crm.models import Deal, Lead, Task, TaskReminder
from crm.models.lead import PersonErased
from crm.models.task import next_monday
from crm.models.tracking.tracked import DeletedMeanwhile
from crm.services.erasure import erase_lead
from crm.services.tasks import finish_task, move_task, reopen_task, save_task
from tests.conftest import make_deal, make_lead, make_task

pytestmark = pytest.mark.django_db

FAR = date(2099, 3, 12)


def test_a_task_is_finished_once_and_can_be_reopened(sales):
    task = make_task(sales)
    finish_task(task=task)
    done_at = task.done_at

    finish_task(task=task)
    assert task.done_at == done_at

    reopen_task(task=task)
    assert task.done_at is None


def test_a_moved_task_keeps_its_time(sales):
    task = make_task(sales, due_time=time(14, 30))

    move_task(task=task, due_on=FAR)

    assert (task.due_on, task.due_time) == (FAR, time(14, 30))


@pytest.mark.parametrize(
    ("today", "monday"),
    [(9, 16), (13, 16), (15, 16), (16, 23)],
)
def test_next_week_begins_on_monday(today, monday):
    assert next_monday(date(2026, 3, today)) == date(2026, 3, monday)


@pytest.mark.parametrize(
    ("due_on", "due_time", "is_late"),
    [
        (date(2026, 3, 11), None, True), (date(2026, 3, 12), None, False), (date(2026, 3, 13), None, False),
        (date(2026, 3, 12), time(9), True), (date(2026, 3, 12), time(11), False), (date(2026, 3, 11), time(23), True),
    ],
)  # fmt: skip
def test_a_task_is_late_once_its_time_or_its_day_is_over(due_on, due_time, is_late):
    now = datetime(2026, 3, 12, 10, tzinfo=ZoneInfo("Europe/Amsterdam"))

    assert Task(due_on=due_on, due_time=due_time).is_late(now) is is_late


def test_a_task_is_about_a_lead_or_a_deal_and_not_both(sales, company):
    deal = make_deal(make_lead(company))

    assert make_task(sales, lead=deal.lead).person == deal.lead
    assert make_task(sales, deal=deal).person == deal.lead
    assert make_task(sales).person is None
    assert list(Task.objects.about(deal.lead).values_list("lead", "deal").order_by("pk")) == [
        (deal.lead_id, None), (None, deal.pk),
    ]  # fmt: skip


@pytest.mark.parametrize("about", ["lead", "deal"])
def test_no_text_is_written_about_someone_who_has_been_erased_meanwhile(
    sales, company, about
):
    deal = make_deal(make_lead(company))
    subject = (
        {"lead": deal.lead}
        if about == "lead"
        else {"deal": Deal.objects.select_related("lead").get()}
    )
    task = make_task(sales, **subject)
    Lead.objects.update(
        erased_at=timezone.now(), first_name="", email="", share_with_ad_platforms=False
    )
    task.title = "Call Ada Byron"

    with pytest.raises(PersonErased):
        save_task(task=task, fields=["title"])

    assert not Task.objects.filter(title="Call Ada Byron").exists()


def test_no_task_is_added_to_a_deal_that_has_been_deleted_meanwhile(sales, company):
    deal = make_deal(make_lead(company))
    stale = Deal.objects.select_related("lead").get()
    deal.delete()

    with pytest.raises(DeletedMeanwhile):
        make_task(sales, deal=stale)

    assert not Task.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.covers("S37")
def test_erasure_takes_the_text_of_tasks_about_the_person_and_their_deals(
    sales, company
):
    deal = make_deal(make_lead(company))
    about = [
        make_task(sales, lead=deal.lead, due_on=FAR, reminder=True),
        make_task(sales, deal=deal),
    ]
    other = make_task(sales, title="Tidy up", due_on=FAR, reminder=True)

    erase_lead(lead=deal.lead)

    rows = Task.objects.filter(pk__in=[task.pk for task in about])
    assert {row.title for row in rows} == {f"Task {row.pk}" for row in about}
    assert all(row.is_done and not row.reminder for row in rows)
    assert TaskReminder.objects.get().task == other
