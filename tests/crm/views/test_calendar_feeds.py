"""The calendar under a secret link: what is in it, who gets it, and how a link ends."""

import re
from datetime import date, time

import pytest
from django.test import Client
from icalendar import Calendar

from crm.models import CalendarFeed, Company, Membership, User
from crm.services import people
from crm.services.calendar_feeds import renew_feed
from crm.services.tasks import finish_task
from tests.conftest import make_lead, make_task

pytestmark = [pytest.mark.django_db, pytest.mark.covers("S55")]

FAR = date(2099, 3, 12)


def read(token):
    return Client().get(f"/calendar/{token}.ics")


def events(token):
    return Calendar.from_ical(read(token).content).walk("VEVENT")


def test_it_has_the_open_tasks_of_its_owner_alone(sales, admin, company):
    company.time_zone = "Europe/Amsterdam"
    company.save()
    lead = make_lead(company, last_name="Byron")
    make_task(
        sales,
        title="Demo; with, all\nof them",
        kind="meeting",
        due_on=FAR,
        due_time=time(14, 30),
        lead=lead,
    )
    make_task(sales, title="Write", due_on=FAR)
    make_task(admin, title="Another's", due_on=FAR)
    finish_task(task=make_task(sales, title="Done", due_on=FAR))

    answer = read(token := renew_feed(membership=sales))
    demo, write = events(token)

    assert (answer.status_code, answer.headers["Content-Type"]) == (
        200,
        "text/calendar; charset=utf-8",
    )
    assert str(demo["summary"]) == "Meeting: Demo; with, all\nof them"
    assert demo["dtstart"].dt.isoformat() == "2099-03-12T13:30:00+00:00"
    assert (str(write["summary"]), write["dtstart"].dt) == ("Task: Write", FAR)
    assert b"Byron" not in answer.content


@pytest.mark.parametrize(
    ("due_time", "trigger"),
    [(time(14, 30), b"TRIGGER:-PT1H"), (None, b"TRIGGER:PT8H")],
    ids=["with a time", "a day"],
)
def test_a_reminder_is_an_alarm(sales, company, due_time, trigger):
    company.time_zone = "America/New_York"
    company.save()
    make_task(sales, title="Demo", due_on=FAR, due_time=due_time, reminder=True)
    make_task(sales, title="Write", due_on=FAR)

    content = read(renew_feed(membership=sales)).content

    assert content.count(b"BEGIN:VALARM") == 1
    assert trigger in content


def test_a_program_that_has_it_is_told_so_until_a_task_changes(sales):
    task = make_task(sales, title="Write", due_on=FAR)
    token = renew_feed(membership=sales)
    etag = read(token).headers["ETag"]

    same = Client().get(f"/calendar/{token}.ics", headers={"If-None-Match": etag})
    finish_task(task=task)
    changed = Client().get(f"/calendar/{token}.ics", headers={"If-None-Match": etag})

    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", etag)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag


def test_no_title_makes_a_calendar_that_strict_programs_refuse(sales, company):
    company.name = "Northwind\x1b BV"
    company.save()
    make_task(sales, title="Call\x0bback\x07\r\nsoon\rnow\x7f", due_on=FAR)

    content = read(renew_feed(membership=sales)).content

    assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)", content)
    assert b"SUMMARY:Task: Call back" in content


def test_a_new_link_ends_the_old_one_and_only_a_hash_is_stored(sales):
    old = renew_feed(membership=sales)
    new = renew_feed(membership=sales)

    assert (read(old).status_code, read(new).status_code) == (404, 200)
    assert new not in CalendarFeed.objects.get().token_sha256


@pytest.mark.parametrize(
    "change", ["deactivated", "closed", "ops", "user off", "removed"]
)
def test_someone_without_access_has_no_calendar(client_as, sales, change):
    token = renew_feed(membership=sales)
    if change == "deactivated":
        Membership.objects.update(is_active=False)
    elif change == "closed":
        Company.objects.update(is_active=False)
    elif change == "ops":
        Membership.objects.update(role="ops")
    elif change == "user off":
        type(sales.user).objects.update(is_active=False)
    else:
        client_as(sales).post("/tasks/calendar/remove/")

    assert read(token).status_code == 404


def switch(user, *, on):
    user.is_active = on
    user.save()


AWAY_AND_BACK = {
    "deactivated": lambda member: (
        people.deactivate(membership=member),
        people.reactivate(membership=member),
    ),
    "ops": lambda member: (
        people.change_role(membership=member, role="ops"),
        people.change_role(membership=member, role="sales"),
    ),
    "switched off": lambda member: (
        switch(member.user, on=False),
        switch(member.user, on=True),
    ),
}


@pytest.mark.parametrize("away_and_back", AWAY_AND_BACK.values(), ids=AWAY_AND_BACK)
def test_a_link_stays_ended_when_its_owner_is_back(admin, sales, away_and_back):
    old, of_another = renew_feed(membership=sales), renew_feed(membership=admin)

    away_and_back(sales)
    sales.refresh_from_db()

    assert read(old).status_code == 404
    assert read(renew_feed(membership=sales)).status_code == 200
    assert read(of_another).status_code == 200


def test_a_user_may_be_made_switched_off(sales):
    token = renew_feed(membership=sales)

    User.objects.create_user("new@example.com", "new@example.com", is_active=False)

    assert read(token).status_code == 200


def test_a_role_that_may_have_tasks_keeps_the_link(admin, sales):
    token = renew_feed(membership=sales)

    people.change_role(membership=sales, role="admin")
    people.change_role(membership=sales, role="sales")

    assert read(token).status_code == 200


def test_the_page_shows_the_link_once(client_as, sales):
    client = client_as(sales)

    made = client.post("/tasks/calendar/").content.decode()
    later = client.get("/tasks/calendar/").content.decode()

    token = (
        made.partition("/calendar/")[2].partition(".ics")[0] if ".ics" in made else ""
    )
    assert "Copy the link now" in made
    assert "You have had a link since" in later
    assert ".ics" not in later
    assert token
