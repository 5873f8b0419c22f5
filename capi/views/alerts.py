"""The alerts page: open alerts, past alerts, and who gets mail about them."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import (
    require_http_methods,
    require_POST,
    require_safe,
)

from capi.alerts.mail_choices import (
    MemberMails,
    choices_of,
    choose,
    subscription,
    unsubscribe,
)
from capi.forms.events import BeforeForm, MailChoiceForm
from capi.selectors.alerts import open_alerts, past_alerts
from capi.selectors.connection import connection_status
from crm.accounts.decorators import MemberRequest, member
from crm.models.roles import Action


@require_safe
@member(Action.SEE_CONNECTION)
def alerts(request: MemberRequest) -> HttpResponse:
    """The open alerts, and the past ones in pages. `?before=` shows those older than the alert with that id."""
    company = request.membership.company
    form = BeforeForm(request.GET)
    form.is_valid()
    before = form.cleaned_data.get("before")
    people = choices_of(company)
    context: dict[str, Any] = {
        "open": open_alerts(company.pk, rest=connection_status(request).rest)
        if before is None
        else [],
        "past": past_alerts(company.pk, before=before),
        "is_first_page": before is None,
        "people": people,
        "form": MailChoiceForm(initial=_own_choice(request, people)),
    }
    return render(request, "capi/alerts/list.html", context)


@require_POST
@member(Action.SEE_CONNECTION)
def choose_mail(request: MemberRequest) -> HttpResponse:
    """Save which mails this person wants from this company."""
    form = MailChoiceForm(
        request.POST,
        initial=_own_choice(request, choices_of(request.membership.company)),
    )
    form.is_valid()  # always valid: an unselected box means no
    choose(company=request.membership.company, user=request.user, **form.cleaned_data)
    messages.success(request, "Your choice was saved.")
    return redirect(reverse("alerts") + "#mail")


# Mail programs post it by themselves; the token is the permission, and all that it can
# do.
@csrf_exempt
@require_http_methods(["GET", "HEAD", "POST"])
@login_not_required
def unsubscribe_from_mail(request: HttpRequest, token: str) -> HttpResponse:
    """Stop mails about one topic, asked first in a browser. 404 for an invalid link, or for someone without access."""
    found = subscription(token)
    if found is None:
        raise Http404
    choice, topic = found
    if request.method == "POST":
        unsubscribe(choice, topic)
    context = {
        "company": choice.membership.company,
        "topic": topic.label,
        "is_done": request.method == "POST",
    }
    return render(request, "capi/alerts/unsubscribe.html", context)


def _own_choice(request: MemberRequest, people: list[MemberMails]) -> dict[str, bool]:
    own = next(choice for choice in people if choice.membership == request.membership)
    return {"alerts": own.alerts, "weekly": own.weekly}
