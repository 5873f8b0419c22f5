"""Inviting people into a company, and joining it."""

from django.db import transaction
from django.db.models.functions import Now

from crm.models import AuditAction, Company, Invitation, Membership, User
from crm.services import audit
from crm.services.members import confirm_address


class InvitationGone(Exception):
    """Accepted, revoked or run out since it was shown: ask for a new one."""


@transaction.atomic
def invite(*, company: Company, email: str, role: str, invited_by: User) -> tuple[Invitation, str]:
    """Make an invitation. Its token comes back once, for the mail; only a hash of it is kept."""
    invitation = Invitation(company=company, email=email.lower(), role=role, invited_by=invited_by)
    token = invitation.new_token()
    invitation.save()
    # By its number, which the entry of whoever joins repeats: the log holds no address.
    audit.record(company=company, action=AuditAction.MEMBER_INVITED, about=invitation, actor=invited_by)
    return invitation, token


@transaction.atomic
def renew(*, invitation: Invitation) -> str:
    """Let it count from now with a new token, and return that. The link in the mail before is void."""
    token = invitation.new_token()
    again = {"token_sha256": invitation.token_sha256, "sent_at": Now()}
    if Invitation.objects.open().filter(pk=invitation.pk).update(**again):
        audit.record(company=invitation.company_id, action=AuditAction.INVITATION_RENEWED, about=invitation)
    return token


@transaction.atomic
def revoke(*, invitation: Invitation) -> None:
    """End it: its link is refused from now on."""
    if Invitation.objects.open().filter(pk=invitation.pk).update(revoked_at=Now()):
        audit.record(company=invitation.company_id, action=AuditAction.INVITATION_REVOKED, about=invitation)


@transaction.atomic
def accept(*, token: str, user: User) -> Membership:
    """Make the user a member, or a former member one again. Raises InvitationGone where the token is no longer good.

    The user's address counts as confirmed: the token was in a mail to it.
    """
    Invitation.objects.select_for_update().filter(pk=_found(token).pk).first()
    invitation = _found(token)  # as it is now that nobody else can accept it
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
    """Make the user whom the invitation speaks of, and let them join. Raises InvitationGone."""
    user = User(email=_found(token).email, first_name=first_name, last_name=last_name)
    user.set_password(password)
    user.save()
    accept(token=token, user=user)
    return user


def _found(token: str) -> Invitation:
    invitation = Invitation.objects.find(token)
    if invitation is None:
        raise InvitationGone
    return invitation
