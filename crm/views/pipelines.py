"""The pipeline that a page of deals shows. For admins: the company's pipelines.

Their stages are among the lists (`crm/views/picklists.py`).
"""

from collections.abc import Callable
from typing import Final

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from crm.accounts.decorators import MemberRequest, checked_again, member, own_or_404
from crm.forms.pipelines import PipelineForm
from crm.models import Deal, Pipeline
from crm.models.roles import Action
from crm.selectors.pipelines import (
    PipelineChoice,
    choice_of,
    pipelines_of,
    stages_on_boards,
)
from crm.services.pipelines import (
    PipelineError,
    add_pipeline,
    archive_pipeline,
    make_default,
    rename_pipeline,
    unarchive_pipeline,
)

PIPELINE: Final = "pipeline"  # in the URL, and in the session by company


def chosen_pipeline(request: MemberRequest) -> PipelineChoice:
    """The pipeline in the URL or in the session, or else the default one. One from the URL is stored in the session."""
    stages = stages_on_boards(request.membership.company)
    remembered = request.session.get(PIPELINE, {})
    company = str(request.membership.company_id)
    choice = choice_of(
        stages, request.GET.get(PIPELINE, "") or remembered.get(company, "")
    )
    if (
        PIPELINE in request.GET
        and choice.chosen
        and remembered.get(company) != str(choice.chosen.pk)
    ):
        request.session[PIPELINE] = {**remembered, company: str(choice.chosen.pk)}
    return choice


def with_pipeline(request: MemberRequest, choice: PipelineChoice) -> QueryDict:
    """The parameters of the URL, with the pipeline that is shown."""
    query = request.GET.copy()
    if choice.chosen:
        query[PIPELINE] = str(choice.chosen.pk)
    return query


@member(Action.MANAGE_COMPANY)
@checked_again
def pipelines(request: MemberRequest) -> HttpResponse:
    """The company's pipelines. POST adds one."""
    company = request.membership.company
    form = PipelineForm(request.POST or None, company=company)
    if form.is_valid():
        _tell(
            request,
            lambda: add_pipeline(pipeline=form.instance),
            f"{form.instance} was added. Check its stages.",
        )
        return redirect("pipelines")
    return render(
        request,
        "crm/pipelines/list.html",
        {"rows": pipelines_of(company), "form": form},
    )


@member(Action.MANAGE_COMPANY)
@checked_again
def pipeline(request: MemberRequest, pk: int) -> HttpResponse:
    """Rename a pipeline."""
    row = own_or_404(Pipeline.objects.all(), request, pk)
    # Read first, because even an invalid form changes the instance.
    title = f"Rename {row}"
    form = PipelineForm(
        request.POST or None, instance=row, company=request.membership.company
    )
    if form.is_valid():
        rename_pipeline(pipeline=row)
        messages.success(request, f"{row} was saved.")
        return redirect("pipelines")
    return render(request, "crm/pipelines/form.html", {"title": title, "form": form})


@require_POST
@member(Action.MANAGE_COMPANY)
def pipeline_default(request: MemberRequest, pk: int) -> HttpResponse:
    row = own_or_404(Pipeline.objects.all(), request, pk)
    _tell(
        request, lambda: make_default(pipeline=row), f"{row} is the default pipeline."
    )
    return redirect("pipelines")


@member(Action.MANAGE_COMPANY)
def pipeline_archive(request: MemberRequest, pk: int) -> HttpResponse:
    """Ask for confirmation, then archive the pipeline. The default, and one with open deals, can't be archived."""
    row = own_or_404(Pipeline.objects.all(), request, pk)
    if request.method == "POST":
        _tell(request, lambda: archive_pipeline(pipeline=row), f"{row} was archived.")
        return redirect("pipelines")
    deals = Deal.objects.for_company(request.membership.company).in_pipeline(row)
    context = {
        "pipeline": row,
        "open_count": deals.open().count(),
        "count": deals.count(),
    }
    return render(request, "crm/pipelines/archive.html", context)


@require_POST
@member(Action.MANAGE_COMPANY)
def pipeline_restore(request: MemberRequest, pk: int) -> HttpResponse:
    row = own_or_404(Pipeline.objects.all(), request, pk)
    _tell(
        request, lambda: unarchive_pipeline(pipeline=row), f"{row} can be chosen again."
    )
    return redirect("pipelines")


def _tell(request: MemberRequest, change: Callable[[], object], done: str) -> None:
    """Make the change, and add the message `done`, or the reason why it was refused."""
    try:
        change()
    except PipelineError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, done)
