"""The button that has everything checked."""

from typing import Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from capi.checkups import check_up
from capi.views.setup import how_far
from crm import limits
from crm.roles import Action
from crm.views.access import MemberRequest, member

CHECKS_PER_MINUTE: Final = 10  # each asks LinkedIn, and counts against what the token may ask


@require_POST
@member(Action.TEST_RULES)
def check(request: MemberRequest) -> HttpResponse:
    """Examine, keep the result, and show it: for htmx the card, else the page with it."""
    company, problem = request.membership.company, ""
    try:
        limits.check("checkups", company_id=company.pk, at_most=CHECKS_PER_MINUTE)
        check_up(company)
    except limits.TooOften as error:
        problem = str(error)
    if request.htmx:
        return render(request, "capi/_doctor_findings.html", {**how_far(request), "problem": problem, "checked": True})
    if problem:
        messages.error(request, problem)
    return redirect(reverse("linkedin") + "#doctor")
