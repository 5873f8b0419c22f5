"""A member's open tasks as iCalendar (RFC 5545)."""

import re
from datetime import UTC, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.urls import reverse
from icalendar import Calendar, Event

from crm.models import CalendarFeed, Membership, Task
from crm.models.bidi import without_bidi_controls
from crm.models.roles import Action
from crm.services.outbox import site_host

ICALENDAR: Final = "text/calendar; charset=utf-8"
TASKS_AT_MOST: Final = 1_000
READ_EVERY: Final = timedelta(hours=1)
# RFC 5545 forbids these in a text: strict programs show nothing at all of a calendar that has one. Pasted texts have
# them, such as the line breaks of a word processor (U+000B).
CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
LENGTH: Final = timedelta(minutes=30)  # of a task with a time, which says only when it begins


def reader_of(feed: CalendarFeed) -> Membership | None:
    """The member whose feed it is; None if they may no longer have tasks in that company."""
    own = Membership.objects.for_company(feed.company).active().of_open_companies()
    membership = own.filter(user=feed.user).select_related("company", "user").first()
    return membership if membership and membership.may(Action.EDIT_LEADS) else None


def calendar_of(membership: Membership) -> bytes:
    """The member's open tasks, earliest due first. The calendar names no lead: others may store it.

    Tasks are events, because calendar programs don't subscribe to to-do items.
    """
    calendar = Calendar()
    calendar.add("prodid", "-//LeadMachine//Tasks//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", _text(f"Tasks at {membership.company}"))
    calendar.add("refresh-interval", READ_EVERY, parameters={"value": "DURATION"})
    tasks = Task.objects.for_company(membership.company).open().filter(owner=membership.user)
    zone = ZoneInfo(membership.company.time_zone)
    for task in tasks.in_order()[:TASKS_AT_MOST]:
        calendar.add_component(_event(task, zone))
    return bytes(calendar.to_ical())


def _event(task: Task, zone: ZoneInfo) -> Event:
    event = Event()
    event.add("uid", f"task-{task.pk}@{site_host()}")
    event.add("dtstamp", task.updated_at.astimezone(UTC))
    event.add("summary", _text(f"{task.get_kind_display()}: {task.title}"))
    event.add("url", f"{settings.SITE_URL}{reverse('task_edit', args=[task.pk])}")
    starts_at = task.starts_at(zone)
    if starts_at is None:
        event.add("dtstart", task.due_on)
        event.add("dtend", task.due_on + timedelta(days=1))
        event.add("transp", "TRANSPARENT")  # it fills no hour of the day
    else:
        event.add("dtstart", starts_at.astimezone(UTC))
        event.add("dtend", (starts_at + LENGTH).astimezone(UTC))
    return event


def _text(text: str) -> str:
    return CONTROLS.sub(" ", without_bidi_controls(text).replace("\r\n", "\n"))
