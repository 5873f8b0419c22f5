"""Who belongs to the company: inviting, roles, shutting out and letting in again. For its admins."""

from allauth.account.adapter import get_adapter
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST

from crm import invitations, members
from crm.forms.people import InvitationForm, RoleForm
from crm.models import Invitation, Membership
from crm.roles import Action, Role
from crm.views.access import MemberRequest, member, own_or_404

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
    return render(request, "crm/people.html", context)


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
        return render(request, "crm/member_deactivate.html", {"person": person})
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
