"""Tasks: saving, finishing, moving and deleting them, each together with its reminder."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Self
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from crm.models import Task, TaskReminder
from crm.services.editing import ChangedMeanwhile
from crm.services.erasure import locking_subject


def save_task(*, task: Task, fields: Iterable[str] | None = None) -> Task:
    """Save the task, or these fields of it. Raises PersonErased, and DeletedMeanwhile if its deal has been deleted."""
    with locking_subject(lead_id=task.person_id, deal_id=task.deal_id):
        task.save(update_fields=None if fields is None else [*fields, "updated_at"])
        _set_reminder(task)
    return task


@transaction.atomic
def finish_task(*, task: Task) -> None:
    """Set the task to done. One that is done already keeps its time."""
    Task.objects.filter(pk=task.pk, done_at=None).update(
        done_at=Now(), updated_at=Now()
    )
    _set_reminder(task)


@transaction.atomic
def reopen_task(*, task: Task) -> None:
    Task.objects.filter(pk=task.pk).update(done_at=None, updated_at=Now())
    _set_reminder(task)


@transaction.atomic
def move_task(*, task: Task, due_on: date) -> None:
    """Move the task to another day, at the same time of the day."""
    Task.objects.filter(pk=task.pk).update(due_on=due_on, updated_at=Now())
    _set_reminder(task)


@dataclass(frozen=True, slots=True)
class TaskState:
    """What the steps of a task change: whether it is done, and its day."""

    done_at: datetime | None
    due_on: date

    @classmethod
    def of(cls, task: Task) -> Self:
        return cls(task.done_at, task.due_on)


@transaction.atomic
def undo_step(*, task: Task, before: TaskState, changed_at: datetime) -> None:
    """Put the task back to the state before a step, which changed it at `changed_at`.

    Raises ChangedMeanwhile if someone has changed or deleted the task since.
    """
    same = Task.objects.filter(pk=task.pk, updated_at=changed_at)
    if not same.update(done_at=before.done_at, due_on=before.due_on, updated_at=Now()):
        raise ChangedMeanwhile
    _set_reminder(task)


def delete_task(*, task: Task) -> None:
    task.delete()


def _set_reminder(task: Task) -> None:
    """Save or delete the owner's reminder, as the task now says. A reminder whose time has passed is not saved."""
    task.refresh_from_db()
    remind_at = task.remind_at(ZoneInfo(task.company.time_zone))
    if task.reminder and not task.is_done and remind_at > timezone.now():
        TaskReminder.objects.update_or_create(
            task=task, defaults={"due_at": remind_at, "tries": 0}
        )
    else:
        TaskReminder.objects.filter(task=task).delete()
