"""The funnel of a company's leads."""

from django.http import HttpResponse, QueryDict
from django.shortcuts import render

from crm.accounts.decorators import MemberRequest, member
from crm.forms.funnels import FunnelFilter
from crm.models import Lead
from crm.models.roles import Action
from crm.selectors.funnels import funnel_of
from crm.views.filtering import filter_bar, to_filtered


@member(Action.SEE_LEADS)
def funnel(request: MemberRequest) -> HttpResponse:
    """How far the leads of a period have come, filtered by the URL.

    The filter form is posted here and redirects to such a URL.
    """
    if request.method == "POST":
        return to_filtered(request, FunnelFilter.base_filters)
    filtered = _filtered(request, request.GET)
    context = {
        **filter_bar(filtered.form, unfolding=("since", "until")),
        "funnel": funnel_of(request.membership.company, filtered.qs, filtered.asked),
        "days": filtered.form.cleaned_data,
        "is_filtered": not filtered.asked.keys().isdisjoint({"source", "owner"}),
        "is_narrowed": any(request.GET.get(name) for name in filtered.filters),
    }
    return render(request, "crm/deals/funnel.html", context)


def _filtered(request: MemberRequest, data: QueryDict) -> FunnelFilter:
    own = Lead.objects.for_company(request.membership.company).current()
    return FunnelFilter(data, queryset=own, request=request)
