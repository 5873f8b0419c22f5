"""Tasks: a member's list, and adding, editing, finishing, moving and deleting a task."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, Final

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from crm.accounts.decorators import MemberRequest, member, own_or_404
from crm.forms.tasks import TaskForm
from crm.models import CalendarFeed, Deal, Lead, Task
from crm.models.roles import Action
from crm.models.task import next_monday
from crm.selectors.my_day import my_day_of
from crm.selectors.tasks import task_rows, tasks_of
from crm.services.tasks import (
    delete_task,
    finish_task,
    move_task,
    reopen_task,
    save_task,
)
from crm.views.editing import add_once, form_key, was_submitted
from crm.views.shell import back_to

TASKS_PER_PAGE: Final = 25


@require_safe
@member(Action.EDIT_LEADS)
def my_day(request: MemberRequest) -> HttpResponse:
    """What needs the member's attention: tasks, new leads, deals, and what others have changed.

    Admins, who answer for the company's numbers, also see how far the leads of this month have come.
    """
    context = {"day": my_day_of(request.membership), "today": timezone.localdate()}
    return render(request, "crm/my_day/page.html", context)


@require_safe
@member(Action.EDIT_LEADS)
def tasks(request: MemberRequest) -> HttpResponse:
    """The member's tasks: the open ones or, with `?done=1`, the others."""
    done = request.GET.get("done") == "1"
    page = Paginator(tasks_of(request.membership, done=done), TASKS_PER_PAGE).get_page(
        request.GET.get("page")
    )
    feeds = CalendarFeed.objects.for_company(request.membership.company).filter(
        user=request.user
    )
    context = {
        "page": page,
        "rows": task_rows(page),
        "done": done,
        "has_feed": feeds.exists(),
    }
    return render(request, "crm/tasks/list.html", context)


@member(Action.EDIT_LEADS)
def task_new(request: MemberRequest) -> HttpResponse:
    """Add a task about the lead in `?lead=`, the deal in `?deal=`, or neither."""
    task = _about(request)
    initial = {"owner": request.user, "due_on": timezone.localdate()}
    form = TaskForm(
        request.POST or None,
        company=request.membership.company,
        instance=task,
        initial=initial,
    )
    back = _back(request, task)
    # Invalid by now, if the colleague has left.
    if form.is_valid() or was_submitted(request):
        return add_once(
            request, "task_edit", partial(save_task, task=form.instance), back=back
        )
    context = {
        "form": form,
        "form_key": form_key(request),
        "subject": task.subject,
        "cancel_url": back,
        "back": back,
    }
    return render(request, "crm/tasks/form.html", context)


def _about(request: MemberRequest) -> Task:
    """A new task about the lead or deal in the URL."""
    lead, deal = request.GET.get("lead"), request.GET.get("deal")
    company = request.membership.company
    if deal:
        deals = (
            Deal.objects.for_company(company)
            .filter(lead__erased_at=None)
            .select_related("lead")
        )
        return Task(company=company, deal=own_or_404(deals, request, deal))
    if lead:
        return Task(
            company=company, lead=own_or_404(Lead.objects.current(), request, lead)
        )
    return Task(company=company)


@member(Action.EDIT_LEADS)
def task_edit(request: MemberRequest, pk: int) -> HttpResponse:
    task = own_or_404(Task.objects.select_related("lead", "deal__lead"), request, pk)
    # Read first, because even an invalid form changes the instance.
    title, back = str(task), _back(request, task)
    form = TaskForm(
        request.POST or None, company=request.membership.company, instance=task
    )
    if form.is_valid():
        save_task(task=form.instance, fields=form.changed_data)
        messages.success(request, f"{task} was saved.")
        return redirect(back)
    context = {
        "form": form,
        "task": task,
        "title": title,
        "subject": task.subject,
        "cancel_url": back,
        "back": back,
    }
    return render(request, "crm/tasks/form.html", context)


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
    messages.success(request, step(task))
    return redirect(_back(request, task))


@member(Action.EDIT_LEADS)
def task_delete(request: MemberRequest, pk: int) -> HttpResponse:
    """Ask for confirmation, then delete the task."""
    task = own_or_404(Task.objects.select_related("lead", "deal"), request, pk)
    back = _back(request, task)
    if request.method == "POST":
        delete_task(task=task)
        messages.success(request, f"{task} was deleted.")
        return redirect(back)
    return render(request, "crm/tasks/delete.html", {"task": task, "back": back})


def _back(request: MemberRequest, task: Task) -> str:
    """Where the member came from, or else the page of the task's lead or deal, or else the list of tasks."""
    subject: Any = task.subject
    return back_to(
        request, default=subject.get_absolute_url() if subject else reverse("tasks")
    )
