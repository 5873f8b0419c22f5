"""Finishing, reopening and moving a task by one of its buttons, and undoing that for five minutes."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.contrib import messages
from django.core import signing
from django.http import Http404, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from crm.accounts.decorators import MemberRequest, member, own_or_404
from crm.models import Task
from crm.models.roles import Action
from crm.models.task import next_monday
from crm.services.editing import ChangedMeanwhile
from crm.services.tasks import (
    TaskState,
    finish_task,
    move_task,
    reopen_task,
    undo_step,
)
from crm.views.shell import back_to
from crm.views.undo import offer_undo

UNDO_FOR: Final = timedelta(minutes=5)
# What is signed with this salt is no other signed value of this installation.
SALT: Final = "crm.views.task_steps"


def back_to_subject(request: MemberRequest, task: Task) -> str:
    """Where the member came from, or else the page of the task's lead or deal, or else the list of tasks."""
    subject: Any = task.subject
    return back_to(
        request, default=subject.get_absolute_url() if subject else reverse("tasks")
    )


def _done(task: Task) -> str:
    finish_task(task=task)
    return f"{task} is done."


def _open_again(task: Task) -> str:
    reopen_task(task=task)
    return f"{task} is open again."


def _tomorrow(task: Task) -> str:
    move_task(task=task, due_on=timezone.localdate() + timedelta(days=1))
    return f"{task} is due tomorrow."


def _next_week(task: Task) -> str:
    move_task(task=task, due_on=next_monday(timezone.localdate()))
    return f"{task} is due on Monday."


STEPS: Final[dict[str, Callable[[Task], str]]] = {
    "done": _done,
    "reopen": _open_again,
    "tomorrow": _tomorrow,
    "next_week": _next_week,
}


@require_POST
@member(Action.EDIT_LEADS)
def task_step(request: MemberRequest, pk: int) -> HttpResponse:
    """Finish, reopen or move a task by one of its buttons (`step`)."""
    task = own_or_404(Task.objects.all(), request, pk)
    step = STEPS.get(request.POST.get("step", ""))
    if step is None:
        raise Http404
    before = TaskState.of(task)
    text = step(task)
    offer_undo(request, text, url=_undo_url(task, before))
    return redirect(back_to_subject(request, task))


def _undo_url(task: Task, before: TaskState) -> str:
    """Where Undo posts to: the state before the step is in the URL, signed, so that nothing has to be stored."""
    done_at = before.done_at.isoformat() if before.done_at else ""
    state = signing.dumps(
        [done_at, before.due_on.isoformat(), task.updated_at.isoformat()],
        salt=f"{SALT}:{task.pk}",
    )
    return reverse("task_undo", args=[task.pk, state])


def _read(state: str, task: Task) -> tuple[TaskState, datetime]:
    """The state before the step, and when the step changed the task. Raises BadSignature."""
    done_at, due_on, changed_at = signing.loads(
        state, salt=f"{SALT}:{task.pk}", max_age=UNDO_FOR
    )
    before = TaskState(
        done_at=datetime.fromisoformat(done_at) if done_at else None,
        due_on=date.fromisoformat(due_on),
    )
    return before, datetime.fromisoformat(changed_at)


@require_POST
@member(Action.EDIT_LEADS)
def task_undo(request: MemberRequest, pk: int, state: str) -> HttpResponse:
    """Undo a step of this task, unless it is five minutes ago or someone has changed the task since."""
    task = own_or_404(Task.objects.all(), request, pk)
    try:
        before, changed_at = _read(state, task)
        undo_step(task=task, before=before, changed_at=changed_at)
    except signing.BadSignature:  # an expired one is also a bad one
        messages.warning(request, "Not undone: undo works for five minutes.")
    except ChangedMeanwhile:
        messages.warning(request, f"Not undone: {task} has been changed since.")
    else:
        messages.success(request, f"Undone: {task} is as before.")
    return redirect(back_to_subject(request, task))
