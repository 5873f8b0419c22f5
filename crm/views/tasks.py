"""Tasks: a member's list, and adding, editing and deleting a task."""

from functools import partial
from typing import Final

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from crm.accounts.decorators import MemberRequest, member, own_or_404
from crm.forms.tasks import TaskForm
from crm.models import CalendarFeed, Deal, Lead, Task
from crm.models.roles import Action
from crm.selectors.my_day import my_day_of
from crm.selectors.tasks import task_rows, tasks_of
from crm.services.tasks import delete_task, save_task
from crm.views.editing import add_once, form_key, was_submitted
from crm.views.task_steps import back_to_subject

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
    back = back_to_subject(request, task)
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
    title, back = str(task), back_to_subject(request, task)
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


@member(Action.EDIT_LEADS)
def task_delete(request: MemberRequest, pk: int) -> HttpResponse:
    """Ask for confirmation, then delete the task."""
    task = own_or_404(Task.objects.select_related("lead", "deal"), request, pk)
    back = back_to_subject(request, task)
    if request.method == "POST":
        delete_task(task=task)
        messages.success(request, f"{task} was deleted.")
        return redirect(back)
    return render(request, "crm/tasks/delete.html", {"task": task, "back": back})
