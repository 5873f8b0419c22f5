"""The page of all background jobs."""

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from django.views.decorators.vary import vary_on_headers

from crm.accounts.decorators import MemberRequest, member
from crm.models.roles import Action
from crm.selectors.jobs import SHOWN_FOR, jobs_of


@require_safe
@vary_on_headers("HX-Request")
@member(Action.SEE_LEADS)
def overview(request: MemberRequest) -> HttpResponse:
    """The member's jobs with their progress; for admins, everyone's. For htmx, only the part that refreshes itself."""
    jobs = jobs_of(request.membership)
    is_at_work = any(each.job.is_at_work for each in jobs)
    context = {"jobs": jobs, "is_at_work": is_at_work, "days": SHOWN_FOR.days}
    return render(
        request, f"crm/jobs/{'_list' if request.htmx else 'list'}.html", context
    )
