"""A member's open tasks as iCalendar (RFC 5545)."""

import hashlib
import re
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.urls import reverse
from django.utils.http import quote_etag
from icalendar import Alarm, Calendar, Event

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
# Of a task with a time, which says only when it begins.
LENGTH: Final = timedelta(minutes=30)


def reader_of(feed: CalendarFeed) -> Membership | None:
    """The member whose feed it is; None if they may no longer have tasks in that company."""
    own = Membership.objects.for_company(feed.company).active().of_open_companies()
    membership = own.filter(user=feed.user).select_related("company", "user").first()
    return membership if membership and membership.may(Action.EDIT_LEADS) else None


def etag_of(calendar: bytes) -> str:
    """The calendar's entity tag, quoted as in the header. It stays the same until a task changes."""
    return quote_etag(hashlib.sha256(calendar).hexdigest())


def calendar_of(membership: Membership) -> bytes:
    """The member's open tasks, earliest due first. The calendar names no lead: others may store it.

    Tasks are events, because calendar programs don't subscribe to to-do items.
    """
    calendar = Calendar()
    calendar.add("prodid", "-//LeadMachine//Tasks//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", _text(f"Tasks at {membership.company}"))
    calendar.add("refresh-interval", READ_EVERY, parameters={"value": "DURATION"})
    calendar.add("x-published-ttl", READ_EVERY)  # the same for Outlook
    tasks = (
        Task.objects.for_company(membership.company)
        .open()
        .filter(owner=membership.user)
    )
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
    if task.reminder:
        event.add_component(_alarm(task, zone))
    return event


def _alarm(task: Task, zone: ZoneInfo) -> Alarm:
    """The task's reminder. Counted from the start of the event: many programs know no other kind."""
    starts_at = task.starts_at(zone) or datetime.combine(task.due_on, time.min, zone)
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", _text(str(task)))
    alarm.add("trigger", task.remind_at(zone) - starts_at)
    return alarm


def _text(text: str) -> str:
    return CONTROLS.sub(" ", without_bidi_controls(text).replace("\r\n", "\n"))
