"""Which pipeline a page of deals shows: the one in the URL, or else the one shown last."""

from typing import Final

from django.http import QueryDict

from crm.accounts.decorators import MemberRequest
from crm.selectors.pipelines import PipelineChoice, choice_of, stages_on_boards

PIPELINE: Final = "pipeline"  # in the URL, and in the session by company


def chosen_pipeline(request: MemberRequest) -> PipelineChoice:
    """The pipeline in the URL or in the session, or else the default one. One from the URL is stored in the session."""
    stages = stages_on_boards(request.membership.company)
    remembered = request.session.get(PIPELINE, {})
    company = str(request.membership.company_id)
    choice = choice_of(stages, request.GET.get(PIPELINE, "") or remembered.get(company, ""))
    if PIPELINE in request.GET and choice.chosen and remembered.get(company) != str(choice.chosen.pk):
        request.session[PIPELINE] = {**remembered, company: str(choice.chosen.pk)}
    return choice


def with_pipeline(request: MemberRequest, choice: PipelineChoice) -> QueryDict:
    """The parameters of the URL, with the pipeline that is shown."""
    query = request.GET.copy()
    if choice.chosen:
        query[PIPELINE] = str(choice.chosen.pk)
    return query
