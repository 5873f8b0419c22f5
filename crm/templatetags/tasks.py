"""The tasks of a list, each as `crm/tasks/_row.html`."""

from collections.abc import Iterable
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from django import template
from django.template import RequestContext
from django.utils import dateformat
from django.utils.html import format_html
from django.utils.safestring import SafeString
from heroicons.templatetags.heroicons import heroicon_mini

from crm.models import Deal, Lead, Task, TaskKind
from crm.templatetags.formatting import clock, short_day, when
from crm.templatetags.row_templates import RowTemplate, UrlOfRow, joined

if TYPE_CHECKING:
    from crm.selectors.tasks import TaskRow

register = template.Library()

ICONS: Final = {TaskKind.CALL: "phone", TaskKind.MEETING: "calendar"}  # other kinds have none
ICON: Final = '{}<span class="visually-hidden">{}: </span>'
ABOUT: Final = '<small><a class="quiet" href="{}">{}<bdi>{}</bdi>{}</a></small>'
DEAL: Final = "<bdi>{}</bdi> · "
ORGANISATION: Final = " · <bdi>{}</bdi>"
OWNER: Final = "<small>{}<bdi>{}</bdi></small>"
OTHER_DEAL: Final = '<a class="quiet" href="{}"><bdi>{}</bdi></a> · '
LATE: Final = '{}, {} day{}<span class="visually-hidden"> late</span>'


@register.simple_tag(takes_context=True)
def task_rows(
    context: RequestContext, rows: Iterable["TaskRow"], target: str, subject: Lead | Deal | None = None
) -> SafeString:
    """The rows of a list of tasks. `target`: the part of the page that the response to a button replaces.

    On the page of a lead or deal (`subject`), each has its owner in place of what it is about.
    """
    row_template = RowTemplate(context, "crm/tasks/_row.html", "title", "icon", "about", "due", "late", target=target)
    urls = {Deal: UrlOfRow("deal"), Lead: UrlOfRow("lead")}

    def filled(row: "TaskRow") -> SafeString:
        task = row.task
        values = {
            "pk": task.pk,
            "title": str(task),
            "icon": _icon(task.kind),
            "about": _owner(task, subject, urls) if subject else _about(task, urls),
            "due": _due(row),
            "late": "late" if row.is_late else "",
        }
        return row_template.filled(values, is_done=task.is_done)

    return joined(map(filled, rows))


def _about(task: Task, urls: dict[Any, UrlOfRow]) -> SafeString | str:
    """The deal and the person that it is about, with the person's organisation."""
    person = task.person
    if person is None:
        return ""
    deal = format_html(DEAL, task.deal) if task.deal else ""
    url = urls[Deal](task.deal.pk) if task.deal else urls[Lead](person.pk)
    organisation = format_html(ORGANISATION, person.organisation) if person.organisation else ""
    return format_html(ABOUT, url, deal, person, organisation)


def _owner(task: Task, subject: Lead | Deal, urls: dict[Any, UrlOfRow]) -> SafeString:
    """Whose it is, and on the page of a lead the deal that it is about."""
    deal = task.deal if task.deal and task.deal != subject else None
    return format_html(
        OWNER, format_html(OTHER_DEAL, urls[Deal](deal.pk), deal) if deal else "", task.owner or "No owner"
    )


def _due(row: "TaskRow") -> SafeString | str:
    """When it was done, or when it is due: the time if that is today, and how late it is if that was before."""
    task = row.task
    if task.is_done:
        return when(task.done_at)
    if row.is_today:
        return clock(task.due_time) if task.due_time else "any time"
    if row.is_late:
        return _late(task.due_on, row.days_late)
    parts = [_day_of_week(task.due_on), short_day(task.due_on), *([clock(task.due_time)] if task.due_time else [])]
    return format_html(", ".join(["{}"] * len(parts)), *parts)


@lru_cache(maxsize=1_000)  # a list has few days
def _late(due_on: date, days: int) -> SafeString:
    return format_html(LATE, _day_of_week(due_on), days, "" if days == 1 else "s")


@lru_cache(maxsize=1_000)
def _day_of_week(day: date) -> str:
    return dateformat.format(day, "D")


@lru_cache
def _icon(kind: str) -> SafeString | str:
    if kind not in ICONS:
        return ""
    return format_html(ICON, heroicon_mini(ICONS[TaskKind(kind)], size=16), TaskKind(kind).label)
