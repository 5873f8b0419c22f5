"""The mails that remind people of their tasks. Each says what its owner wrote, and nothing else about anyone."""

from collections.abc import Callable
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from crm.models import Membership, Task, TaskReminder
from crm.services import outbox


def send_due(*, is_stopping: Callable[[], bool] = lambda: False) -> int:
    """Send the reminders that are due. Returns how many were sent."""
    reminders = TaskReminder.objects.select_related("task__company", "task__owner")
    return outbox.send_due(reminders, _compose, is_stopping=is_stopping)


def _compose(reminder: TaskReminder) -> EmailMessage | None:
    """The message; None if the task is done, its day is over, or its owner no longer has access."""
    task = reminder.task
    today = timezone.localdate(timezone=ZoneInfo(task.company.time_zone))
    if (
        task.is_done
        or task.owner is None
        or task.due_on < today
        or not _has_access(task)
    ):
        return None
    page = {"site_url": settings.SITE_URL, "path": reverse("task_edit", args=[task.pk])}
    context = {"task": task, "zone": task.company.time_zone, **page}
    subject = " ".join(f"{task.get_kind_display()}: {task}".split())
    text = render_to_string("crm/mail/reminder_message.txt", context)
    return outbox.message(
        subject, text, to=task.owner.email, key=f"task-{task.pk}-{task.due_on}"
    )


def _has_access(task: Task) -> bool:
    own = Membership.objects.for_company(task.company_id).filter(user=task.owner_id)
    return own.active().of_open_companies().exists()
