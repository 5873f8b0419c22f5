"""Who belongs to the company, and where the link in an invitation leads."""

from typing import cast

from allauth.account.adapter import get_adapter
from allauth.account.utils import perform_login
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from crm.accounts.decorators import MemberRequest, member, own_or_404
from crm.forms.people import InvitationForm, NewMemberForm, RoleForm
from crm.models import Invitation, Membership, User
from crm.models.roles import Action, Role
from crm.services import invitations, members
from crm.views.shell import work_in

# --- Who belongs to the company: inviting, roles, shutting out and letting in again. For its admins.

YOURSELF = "Nothing was changed: you would shut yourself out of this page. Let another admin do it."
LAST_ADMIN = "Nothing was changed: nobody else can manage the company. Make somebody else an admin first."


@member(Action.MANAGE_COMPANY)
def people(request: MemberRequest) -> HttpResponse:
    """The page; posting it invites somebody."""
    own = request.membership.company
    form = InvitationForm(request.POST or None, company=own)
    if form.is_valid():
        invitation, token = invitations.invite(company=own, invited_by=request.user, **form.cleaned_data)
        _mail(request, invitation, token)
        return redirect("people")
    context = {
        "people": Membership.objects.for_company(own).select_related("user"),
        "invitations": Invitation.objects.for_company(own).open().select_related("invited_by"),
        "invitation_form": form,
        "roles": Role.choices,
    }
    return render(request, "crm/people/list.html", context)


@require_POST
@member(Action.MANAGE_COMPANY)
def invitation_resend(request: MemberRequest, pk: int) -> HttpResponse:
    """Send the mail again, with a new link."""
    invitation = own_or_404(Invitation.objects.open(), request, pk)
    _mail(request, invitation, invitations.renew(invitation=invitation))
    return redirect("people")


@require_POST
@member(Action.MANAGE_COMPANY)
def invitation_revoke(request: MemberRequest, pk: int) -> HttpResponse:
    """End an invitation."""
    invitation = own_or_404(Invitation.objects.open(), request, pk)
    invitations.revoke(invitation=invitation)
    messages.success(request, f"The invitation to {invitation.email} was revoked. Its link is refused from now on.")
    return redirect("people")


@require_POST
@member(Action.MANAGE_COMPANY)
def member_role(request: MemberRequest, pk: int) -> HttpResponse:
    """Give a member another role."""
    person = own_or_404(Membership.objects.all(), request, pk)
    form = RoleForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Nothing was changed: there is no such role.")
        return redirect("people")
    if person == request.membership and form.cleaned_data["role"] != Role.ADMIN:
        messages.error(request, YOURSELF)
        return redirect("people")
    try:
        members.change_role(membership=person, role=form.cleaned_data["role"])
    except members.LastAdmin:
        messages.error(request, LAST_ADMIN)
    else:
        messages.success(request, f"{person.user} is {Role(form.cleaned_data['role']).label} now.")
    return redirect("people")


@member(Action.MANAGE_COMPANY)
def member_deactivate(request: MemberRequest, pk: int) -> HttpResponse:
    """Ask, then shut a member out."""
    person = own_or_404(Membership.objects.all(), request, pk)
    if request.method != "POST":
        return render(request, "crm/people/deactivate.html", {"person": person})
    try:
        members.deactivate(membership=person)
    except members.LastAdmin:
        messages.error(request, LAST_ADMIN)
    else:
        messages.success(request, f"{person.user} was deactivated, and so were the API keys that they made.")
    return redirect("people")


@require_POST
@member(Action.MANAGE_COMPANY)
def member_reactivate(request: MemberRequest, pk: int) -> HttpResponse:
    """Let a former member in again."""
    person = own_or_404(Membership.objects.all(), request, pk)
    members.reactivate(membership=person)
    messages.success(request, f"{person.user} can work here again.")
    return redirect("people")


def _mail(request: MemberRequest, invitation: Invitation, token: str) -> None:
    context = {"invitation": invitation, "invited_by": request.user, "path": reverse("invitation", args=[token])}
    if get_adapter(request).send_mail("crm/mail/invitation", invitation.email, context):
        messages.success(request, f"An invitation was mailed to {invitation.email}. It is good for 7 days.")


# --- Where the link in an invitation leads: join as who one is, sign in first, or set a name and a password.


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
            return render(request, "crm/people/invitation_sign_in.html", {"invitation": found})
        return _join_anew(request, found, token)
    except invitations.InvitationGone:
        return render(request, "crm/people/invitation_gone.html", status=404)


def _join(request: HttpRequest, found: Invitation, token: str) -> HttpResponse:
    user = cast(User, request.user)
    if user.email != found.email:
        return render(request, "crm/people/invitation_other_user.html", {"invitation": found}, status=403)
    if request.method != "POST":
        return render(request, "crm/people/invitation_join.html", {"invitation": found})
    membership = invitations.accept(token=token, user=user)
    work_in(request, membership)
    messages.success(request, f"Welcome to {membership.company}.")
    return redirect("dashboard")


def _join_anew(request: HttpRequest, found: Invitation, token: str) -> HttpResponse:
    form = NewMemberForm(request.POST or None, instance=User(email=found.email))
    if not form.is_valid():
        return render(request, "crm/people/invitation_new_user.html", {"invitation": found, "form": form})
    user = invitations.accept_as_new_user(token=token, **form.cleaned_data)
    messages.success(request, f"Welcome to {found.company}.")
    response: HttpResponse = perform_login(request, user)
    return response
