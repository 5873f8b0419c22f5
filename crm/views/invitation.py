"""Where the link in an invitation leads: join as who one is, sign in first, or set a name and a password."""

from typing import cast

from allauth.account.utils import perform_login
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from crm import invitations
from crm.forms.people import NewMemberForm
from crm.models import Invitation, User
from crm.views.shell import work_in


@login_not_required
@never_cache
@sensitive_post_parameters("password")
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """The page for this token. One that is no longer good says so, with 404."""
    found = Invitation.objects.find(token)
    try:
        if found is None:
            raise invitations.InvitationGone
        if request.user.is_authenticated:
            return _join(request, found, token)
        if User.objects.filter(email__iexact=found.email).exists():
            return render(request, "crm/invitation_sign_in.html", {"invitation": found})
        return _join_anew(request, found, token)
    except invitations.InvitationGone:
        return render(request, "crm/invitation_gone.html", status=404)


def _join(request: HttpRequest, found: Invitation, token: str) -> HttpResponse:
    user = cast(User, request.user)
    if user.email != found.email:
        return render(request, "crm/invitation_other_user.html", {"invitation": found}, status=403)
    if request.method != "POST":
        return render(request, "crm/invitation_join.html", {"invitation": found})
    membership = invitations.accept(token=token, user=user)
    work_in(request, membership)
    messages.success(request, f"Welcome to {membership.company}.")
    return redirect("dashboard")


def _join_anew(request: HttpRequest, found: Invitation, token: str) -> HttpResponse:
    form = NewMemberForm(request.POST or None, instance=User(email=found.email))
    if not form.is_valid():
        return render(request, "crm/invitation_new_user.html", {"invitation": found, "form": form})
    user = invitations.accept_as_new_user(token=token, **form.cleaned_data)
    messages.success(request, f"Welcome to {found.company}.")
    response: HttpResponse = perform_login(request, user)
    return response
