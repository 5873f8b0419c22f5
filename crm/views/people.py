"""The people page, and accepting an invitation."""

from dataclasses import dataclass
from typing import Any, cast

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

from crm.accounts.decorators import MemberRequest, checked_again, member, own_or_404
from crm.accounts.fresh_password import ask_for_password, kept_fields
from crm.accounts.sessions import note_password, provider_of
from crm.forms.changes import CHANGED_HERE
from crm.forms.people import InvitationForm, NewMemberForm, RoleForm
from crm.models import Invitation, Membership, SignInProvider, User
from crm.models.roles import Action, Role
from crm.services import people as services
from crm.views.shell import work_in

# The people page, for admins

YOURSELF = "Nothing was changed: you would lose access to this page. Ask another admin to do it."
LAST_ADMIN = "Nothing was changed: no one else can manage the company. Make someone else an admin first."


@member(Action.MANAGE_COMPANY)
@checked_again
def people(request: MemberRequest) -> HttpResponse:
    """The page. POST invites a person."""
    own = request.membership.company
    form = InvitationForm(
        request.POST or None,
        company=own,
        initial={} if request.POST else kept_fields(request),
    )
    if form.is_valid():
        if form.cleaned_data["role"] == Role.ADMIN and (
            asked := _ask_for_password(request, "email", "role")
        ):
            return asked
        try:
            invitation, token = services.invite(
                company=own, invited_by=request.user, **form.cleaned_data
            )
        except services.TooManyInvitations as refusal:
            form.add_error(None, str(refusal))
        else:
            _mail(request, invitation, token)
            return redirect("people")
    context = {
        "people": Membership.objects.for_company(own).select_related("user"),
        "invitations": Invitation.objects.for_company(own)
        .open()
        .select_related("invited_by"),
        "invitation_form": form,
        "roles": Role.choices,
    }
    return render(request, "crm/people/list.html", context)


@require_POST
@member(Action.MANAGE_COMPANY)
def invitation_resend(request: MemberRequest, pk: int) -> HttpResponse:
    """Send the invitation again, with a new link."""
    invitation = own_or_404(Invitation.objects.open(), request, pk)
    if invitation.role == Role.ADMIN and (asked := _ask_for_password(request)):
        return asked
    try:
        _mail(request, invitation, services.renew_invitation(invitation=invitation))
    except services.TooManyInvitations as refusal:
        messages.error(request, str(refusal))
    return redirect("people")


@require_POST
@member(Action.MANAGE_COMPANY)
def invitation_revoke(request: MemberRequest, pk: int) -> HttpResponse:
    """Revoke an invitation."""
    invitation = own_or_404(Invitation.objects.open(), request, pk)
    services.revoke_invitation(invitation=invitation)
    messages.success(
        request,
        f"The invitation to {invitation.email} was revoked. Its link no longer works.",
    )
    return redirect("people")


@require_POST
@member(Action.MANAGE_COMPANY)
def member_role(request: MemberRequest, pk: int) -> HttpResponse:
    """Change a member's role."""
    person = own_or_404(Membership.objects.all(), request, pk)
    form = RoleForm(request.POST, instance=person)
    if form.non_field_errors():
        messages.error(
            request, CHANGED_HERE.format(what=f"the role of {person.user} was")
        )
        return redirect("people")
    if not form.is_valid():
        messages.error(request, "Nothing was changed: there is no such role.")
        return redirect("people")
    if person == request.membership and form.cleaned_data["role"] != Role.ADMIN:
        messages.error(request, YOURSELF)
        return redirect("people")
    if asked := _ask_for_password(request):
        return asked
    try:
        services.change_role(membership=person, role=form.cleaned_data["role"])
    except services.LastAdmin:
        messages.error(request, LAST_ADMIN)
    else:
        messages.success(
            request,
            f"{person.user} now has the role {Role(form.cleaned_data['role']).label}.",
        )
    return redirect("people")


@member(Action.MANAGE_COMPANY)
def member_deactivate(request: MemberRequest, pk: int) -> HttpResponse:
    """Ask for confirmation, then deactivate a member."""
    person = own_or_404(Membership.objects.all(), request, pk)
    if request.method != "POST":
        is_last = services.is_last_admin(person)
        context = {
            "person": person,
            "is_last_admin": is_last,
            "is_oneself": person == request.membership,
        }
        return render(request, "crm/people/deactivate.html", context)
    try:
        services.deactivate(membership=person)
    except services.LastAdmin:
        messages.error(request, LAST_ADMIN)
    else:
        messages.success(
            request,
            f"{person.user} was deactivated, and their API keys and invitations were revoked.",
        )
    return redirect("people")


@require_POST
@member(Action.MANAGE_COMPANY)
def member_reactivate(request: MemberRequest, pk: int) -> HttpResponse:
    """Reactivate a member."""
    person = own_or_404(Membership.objects.all(), request, pk)
    if person.role == Role.ADMIN and (asked := _ask_for_password(request)):
        return asked
    services.reactivate(membership=person)
    messages.success(request, f"{person.user} was reactivated.")
    return redirect("people")


def _ask_for_password(request: MemberRequest, *kept: str) -> HttpResponse | None:
    return ask_for_password(request, form_at=reverse("people"), kept=kept)


def _mail(request: MemberRequest, invitation: Invitation, token: str) -> None:
    context = {
        "invitation": invitation,
        "invited_by": request.user,
        "path": reverse("invitation", args=[token]),
    }
    get_adapter(request).send_mail("crm/mail/invitation", invitation.email, context)
    messages.success(
        request,
        f"An invitation is on its way to {invitation.email}. It is valid for 7 days.",
    )


# The link in an invitation: join, sign in first, or set a name and password


@dataclass(frozen=True, slots=True)
class Opened:
    """An invitation whose link someone has opened, and the sign-in provider of its company, if it has one."""

    invitation: Invitation
    token: str
    provider: SignInProvider | None

    @property
    def needs_provider(self) -> bool:
        """True if a password would open nothing: only admins can do without a provider that is required."""
        return (
            self.provider is not None
            and self.provider.is_required
            and self.invitation.role != Role.ADMIN
        )

    def page(
        self, request: HttpRequest, name: str, *, status: int = 200, form: Any = None
    ) -> HttpResponse:
        """The page crm/people/invitation_<name>.html."""
        context = {
            "invitation": self.invitation,
            "invitation_token": self.token,
            "provider": self.provider,
            "form": form,
        }
        return render(
            request, f"crm/people/invitation_{name}.html", context, status=status
        )


@login_not_required
@never_cache
@sensitive_post_parameters("password")
@checked_again
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """The page for this token; 404 with the reason if it is no longer valid."""
    instance = Invitation.objects.find(token)
    if instance is None:
        return render(request, "crm/people/invitation_gone.html", status=404)
    provider = (
        SignInProvider.objects.for_company(instance.company)
        .select_related("company")
        .first()
    )
    opened = Opened(instance, token, provider)
    try:
        if request.user.is_authenticated:
            return _join(request, opened)
        if opened.needs_provider:
            return opened.page(request, "by_provider")
        if User.objects.filter(email=instance.email).exists():
            return opened.page(request, "sign_in")
        return _join_as_new_user(request, opened)
    except services.InvitationGone:
        return render(request, "crm/people/invitation_gone.html", status=404)
    except services.AlreadyMember:
        return opened.page(request, "member", status=403)


def _join(request: HttpRequest, opened: Opened) -> HttpResponse:
    user = cast(User, request.user)
    if user.email != opened.invitation.email:
        return opened.page(request, "other_user", status=403)
    if (
        Membership.objects.for_company(opened.invitation.company)
        .filter(user=user)
        .exists()
    ):
        raise services.AlreadyMember
    is_by_other_provider = bool(provider_of(request, user))
    if opened.needs_provider or (opened.provider and is_by_other_provider):
        return opened.page(request, "by_provider")
    if is_by_other_provider:
        return opened.page(request, "own_sign_in", status=403)
    if request.method != "POST":
        return opened.page(request, "join")
    membership = services.accept_invitation(token=opened.token, user=user)
    work_in(request, membership)
    messages.success(request, f"Welcome to {membership.company}.")
    return redirect("home")


def _join_as_new_user(request: HttpRequest, opened: Opened) -> HttpResponse:
    form = NewMemberForm(
        request.POST or None, instance=User(email=opened.invitation.email)
    )
    if not form.is_valid():
        return opened.page(request, "new_user", form=form)
    user = services.accept_invitation_as_new_user(
        token=opened.token, **form.cleaned_data
    )
    messages.success(request, f"Welcome to {opened.invitation.company}.")
    note_password(request, user)
    response: HttpResponse = perform_login(request, user)
    return response
