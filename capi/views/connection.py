"""Step 1: the access token, in and out, and going on after a pause."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from capi import services
from capi.context_processors import line_of
from capi.forms import TokenForm
from capi.reads.numbers import open_events
from capi.views.setup import setup_page
from crm.accounts import password_again
from crm.roles import Action
from crm.views.access import MemberRequest, member


@sensitive_post_parameters("token")
@require_POST
@member(Action.CHANGE_CONNECTION)
def save_token(request: MemberRequest) -> HttpResponse:
    """Seal and keep the token, for somebody who has shown lately who they are."""
    if not password_again.was_given_lately(request):
        return password_again.ask(request, back_to=reverse("linkedin"), then="paste the token again")
    form = TokenForm(request.POST)
    if not form.is_valid():
        return setup_page(request, token_form=form)
    company = request.membership.company
    held = open_events(company, line_of(request).connection).on_hold
    connection = services.save_token(company=company, user=request.user, **form.cleaned_data)
    is_let_go = open_events(company, connection).on_hold < held
    messages.success(request, f"The access token was saved.{' What was on hold goes out now.' if is_let_go else ''}")
    return redirect("linkedin")


@member(Action.CHANGE_CONNECTION)
def remove_token(request: MemberRequest) -> HttpResponse:
    """Ask, then forget the token."""
    if request.method == "POST":
        services.remove_token(company=request.membership.company)
        messages.success(request, "The access token was removed. Events are kept until there is a new one.")
        return redirect("linkedin")
    return render(request, "capi/token_remove.html", {"connection": line_of(request).connection})


@require_POST
@member(Action.CHANGE_CONNECTION)
def resume(request: MemberRequest) -> HttpResponse:
    """Go on after a pause, or try now what waits for LinkedIn."""
    connection = line_of(request).connection
    services.resume_connection(company=request.membership.company)
    if connection is not None and connection.is_paused:
        messages.success(request, "Sending goes on. If LinkedIn gives the same answer again, it is paused again.")
    else:
        messages.success(request, "LeadMachine tries again now. Recent events shows what LinkedIn answers.")
    return redirect("linkedin")
