"""The forecast of a pipeline."""

from django.forms import BaseForm
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.http import urlencode

from crm.accounts.decorators import MemberRequest, member
from crm.forms.boards import BoardFilter
from crm.models import Deal
from crm.models.roles import Action
from crm.selectors.forecasts import forecast_of
from crm.views.filtering import filter_bar, to_filtered
from crm.views.pipelines import chosen_pipeline, with_pipeline


@member(Action.SEE_LEADS)
def forecast(request: MemberRequest) -> HttpResponse:
    """The open deals of one pipeline by month of expected close, filtered by owner or tag on request."""
    if request.method == "POST":
        return to_filtered(request, BoardFilter.base_filters)
    company, choice = request.membership.company, chosen_pipeline(request)
    filtered = BoardFilter(
        with_pipeline(request, choice),
        queryset=Deal.objects.for_company(company),
        request=request,
        pipelines=choice.pipelines,
    )
    narrowed = {
        name: request.GET[name]
        for name in ("owner", "tag")
        if _is_in_use(filtered.form, name)
    }
    pipeline = {}
    if choice.chosen and len(choice.pipelines) > 1:
        pipeline = {"pipeline": str(choice.chosen.pk)}
    query = urlencode({**pipeline, **narrowed})
    found = forecast_of(
        company, choice.stages, filtered.qs, timezone.localdate(), query
    )
    context = {
        **filter_bar(filtered.form),
        "forecast": found,
        "is_narrowed": bool(narrowed),
    }
    return render(request, "crm/deals/forecast.html", context)


def _is_in_use(form: BaseForm, name: str) -> bool:
    """True if the URL narrows the page by this filter, with a valid value."""
    return bool(form.data.get(name)) and name not in form.errors
