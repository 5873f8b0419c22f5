"""Inviting people to a company, and joining it."""

from django.db import transaction
from django.db.models.functions import Now

from crm.models import AuditAction, Company, Invitation, Membership, User
from crm.services import audit
from crm.services.members import confirm_address


class InvitationGone(Exception):
    """The invitation has been accepted or revoked, or has expired."""


@transaction.atomic
def invite(*, company: Company, email: str, role: str, invited_by: User) -> tuple[Invitation, str]:
    """Create an invitation. Returns it with its token for the e-mail; only a hash of the token is stored."""
    invitation = Invitation(company=company, email=email.lower(), role=role, invited_by=invited_by)
    token = invitation.new_token()
    invitation.save()
    # The log names the invitation by its number, as does the entry of the person who joins: it holds no address.
    audit.record(company=company, action=AuditAction.MEMBER_INVITED, about=invitation, actor=invited_by)
    return invitation, token


@transaction.atomic
def renew(*, invitation: Invitation) -> str:
    """Start the week again and return a new token. The previous link stops working."""
    token = invitation.new_token()
    changes = {"token_sha256": invitation.token_sha256, "sent_at": Now()}
    if Invitation.objects.open().filter(pk=invitation.pk).update(**changes):
        audit.record(company=invitation.company_id, action=AuditAction.INVITATION_RENEWED, about=invitation)
    return token


@transaction.atomic
def revoke(*, invitation: Invitation) -> None:
    """Revoke an invitation: its link stops working."""
    if Invitation.objects.open().filter(pk=invitation.pk).update(revoked_at=Now()):
        audit.record(company=invitation.company_id, action=AuditAction.INVITATION_REVOKED, about=invitation)


@transaction.atomic
def accept(*, token: str, user: User) -> Membership:
    """Make the user a member, or reactivate a former one. Raises InvitationGone if the token is no longer valid.

    The address counts as confirmed, because the token was sent to it.
    """
    Invitation.objects.select_for_update().filter(pk=_find(token).pk).first()
    invitation = _find(token)  # read again, now that it is locked
    Invitation.objects.filter(pk=invitation.pk).update(accepted_at=Now())
    if invitation.email == user.email:
        confirm_address(user)
    membership, _ = Membership.objects.update_or_create(
        company=invitation.company, user=user, defaults={"role": invitation.role, "is_active": True}
    )
    details: audit.Details = {"invitation": invitation.pk, "role": membership.role}
    audit.record(company=invitation.company, action=AuditAction.MEMBER_JOINED, about=user, details=details, actor=user)
    return membership


@transaction.atomic
def accept_as_new_user(*, token: str, first_name: str, last_name: str, password: str) -> User:
    """Create the invited user and make them a member. Raises InvitationGone."""
    user = User(email=_find(token).email, first_name=first_name, last_name=last_name)
    user.set_password(password)
    user.save()
    accept(token=token, user=user)
    return user


def _find(token: str) -> Invitation:
    invitation = Invitation.objects.find(token)
    if invitation is None:
        raise InvitationGone
    return invitation
