"""The people of a company: its members, at least one of them an active admin, and invitations to join it."""

from collections.abc import Iterator
from contextlib import contextmanager

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from crm.models import ApiKey, AuditAction, Company, Invitation, Membership, User
from crm.models.addresses import account_address
from crm.models.roles import Action, Role, may
from crm.services import audit
from crm.services.calendar_feeds import remove_feed
from crm.services.rate_limits import HOUR_SECONDS, is_within


class LastAdmin(Exception):
    """The company would be left without an active admin."""


def change_role(*, membership: Membership, role: str) -> None:
    """Change a member's role, and revoke what they set up if the new role may not do it. Raises LastAdmin."""
    with _keep_an_admin(membership.company):
        Membership.objects.filter(pk=membership.pk).update(role=role)
        _record(AuditAction.ROLE_CHANGED, membership, {"role": role})
        if not may(role, Action.MANAGE_COMPANY):
            _end_power_of(membership)
        if not may(role, Action.EDIT_LEADS):
            remove_feed(membership=membership)


def show_outcomes(*, membership: Membership, shown: bool) -> None:
    """Show or hide the outcomes column in this member's lists of leads and deals."""
    Membership.objects.filter(pk=membership.pk).update(shows_outcomes=shown)


def deactivate(*, membership: Membership) -> None:
    """End a member's access from their next request on, and revoke what they set up. Raises LastAdmin."""
    with _keep_an_admin(membership.company):
        Membership.objects.filter(pk=membership.pk).update(is_active=False)
        _record(AuditAction.MEMBER_DEACTIVATED, membership)
        _end_power_of(membership)
        remove_feed(membership=membership)


@transaction.atomic
def reactivate(*, membership: Membership) -> None:
    """Restore a member's access in their previous role. Their API keys, invitations and calendar link stay revoked."""
    Membership.objects.filter(pk=membership.pk).update(is_active=True)
    _record(AuditAction.MEMBER_REACTIVATED, membership, {"role": membership.role})


def is_last_admin(membership: Membership) -> bool:
    """True if the company would have no active admin without this member."""
    return not _active_admins(membership.company).exclude(pk=membership.pk).exists()


@contextmanager
def _keep_an_admin(company: Company) -> Iterator[None]:
    with transaction.atomic():
        # The lock makes two admins who remove each other do so one after the other.
        Company.objects.select_for_update().get(pk=company.pk)
        yield
        if not _active_admins(company).exists():
            raise LastAdmin


def _active_admins(company: Company) -> QuerySet[Membership]:
    return Membership.objects.for_company(company).active().filter(role=Role.ADMIN)


def _end_power_of(membership: Membership) -> None:
    """Revoke all that a former admin could still act through: their API keys, and invitations from or to them."""
    company, person = membership.company, membership.user
    ApiKey.objects.for_company(company).filter(
        created_by=person, revoked_at=None
    ).update(revoked_at=Now())
    invitations = Invitation.objects.for_company(company).open()
    for invitation in invitations.filter(Q(invited_by=person) | Q(email=person.email)):
        revoke_invitation(invitation=invitation)


def _record(
    action: AuditAction, membership: Membership, details: audit.Details | None = None
) -> None:
    audit.record(
        company=membership.company_id,
        action=action,
        about=membership.user,
        details=details,
    )


def confirm_address(user: User) -> None:
    """Mark the user's address as confirmed and delete any other."""
    EmailAddress.objects.filter(user=user).exclude(email=user.email).delete()
    EmailAddress.objects.update_or_create(
        user=user, email=user.email, defaults={"verified": True, "primary": True}
    )


# Invitations


class TooManyInvitations(Exception):
    """The company may send no invitation now. The message is for the user."""


def _may_mail(company: Company, email: str) -> None:
    """Count an invitation by mail. Raises TooManyInvitations: the person may be a stranger who wants none."""
    if Invitation.objects.mailed_lately(company, email):
        raise TooManyInvitations(
            "This person got an invitation a moment ago. Wait ten minutes, then try again."
        )
    most = settings.INVITATIONS_PER_HOUR
    if not is_within(
        f"company:{company.pk}:invitations", at_most=most, seconds=HOUR_SECONDS
    ):
        raise TooManyInvitations(
            f"Your company may send {most} invitations an hour. Wait an hour, then try again."
        )


class InvitationGone(Exception):
    """The invitation has been accepted or revoked, or has expired."""


class AlreadyMember(Exception):
    """The user is a member of the company, perhaps a deactivated one. Only its admins change that."""


@transaction.atomic
def invite(
    *, company: Company, email: str, role: str, invited_by: User
) -> tuple[Invitation, str]:
    """Create an invitation. Returns it with its token for the e-mail; only a hash of the token is stored.

    Raises TooManyInvitations.
    """
    _may_mail(company, account_address(email))
    invitation = Invitation(
        company=company, email=email, role=role, invited_by=invited_by
    )
    token = invitation.new_token()
    invitation.save()
    # The log names the invitation by its number, as does the entry of the person who joins: it holds no address.
    audit.record(
        company=company,
        action=AuditAction.MEMBER_INVITED,
        about=invitation,
        actor=invited_by,
    )
    return invitation, token


@transaction.atomic
def renew_invitation(*, invitation: Invitation) -> str:
    """Start the week again and return a new token. The previous link stops working. Raises TooManyInvitations."""
    _may_mail(invitation.company, invitation.email)
    token = invitation.new_token()
    changes = {"token_sha256": invitation.token_sha256, "sent_at": Now()}
    if Invitation.objects.open().filter(pk=invitation.pk).update(**changes):
        audit.record(
            company=invitation.company_id,
            action=AuditAction.INVITATION_RENEWED,
            about=invitation,
        )
    return token


@transaction.atomic
def revoke_invitation(*, invitation: Invitation) -> None:
    """Revoke an invitation: its link stops working."""
    if Invitation.objects.open().filter(pk=invitation.pk).update(revoked_at=Now()):
        audit.record(
            company=invitation.company_id,
            action=AuditAction.INVITATION_REVOKED,
            about=invitation,
        )


@transaction.atomic
def accept_invitation(*, token: str, user: User) -> Membership:
    """Make the user a member. Raises InvitationGone if the token is no longer valid.

    Joining only adds: the role and access that a member has are left to the company's admins. Raises AlreadyMember.
    The address counts as confirmed, because the token was sent to it.
    """
    Invitation.objects.select_for_update().filter(pk=_find(token).pk).first()
    invitation = _find(token)  # read again, now that it is locked
    if invitation.email == user.email:
        confirm_address(user)
    return _accept(invitation, user)


def _accept(invitation: Invitation, user: User) -> Membership:
    Invitation.objects.filter(pk=invitation.pk).update(accepted_at=Now())
    membership, is_new = Membership.objects.get_or_create(
        company=invitation.company, user=user, defaults={"role": invitation.role}
    )
    if not is_new:
        raise AlreadyMember
    details: audit.Details = {"invitation": invitation.pk, "role": membership.role}
    audit.record(
        company=invitation.company,
        action=AuditAction.MEMBER_JOINED,
        about=user,
        details=details,
        actor=user,
    )
    return membership


@transaction.atomic
def accept_invitation_as_new_user(
    *, token: str, first_name: str, last_name: str, password: str
) -> User:
    """Create the invited user and make them a member. Raises InvitationGone."""
    user = User(email=_find(token).email, first_name=first_name, last_name=last_name)
    user.set_password(password)
    user.save()
    accept_invitation(token=token, user=user)
    return user


class HasAccount(Exception):
    """The invited person has an account, so they have to come from the link in the invitation."""


class NotConfirmed(Exception):
    """The invited person's account has an address that no one has confirmed: someone else may know its password."""


@transaction.atomic
def accept_invitation_by_provider(
    *,
    company: Company,
    email: str,
    opened_id: int | None,
    first_name: str,
    last_name: str,
) -> User:
    """Make the person for whom the company's provider vouches a member, if they are invited. Returns their user.

    Creates an account if there is none, without a password. Raises InvitationGone and AlreadyMember, and for people who
    have an account HasAccount, unless they opened the invitation (`opened_id`), and NotConfirmed: a company's provider
    can claim any address, but must not take over an account, nor decide that it joins a company.
    """
    pending = Invitation.objects.for_company(company).filter(email=email)
    pending.open().select_for_update().first()
    invitation = pending.valid().first()
    user = User.objects.filter(email=email).first()
    if invitation is None or (user and not user.is_active):
        raise InvitationGone
    if user is None:
        user = User(
            email=email, first_name=_name(first_name), last_name=_name(last_name)
        )
        user.set_unusable_password()
        user.save()
    elif invitation.pk != opened_id:
        raise HasAccount
    elif EmailAddress.objects.filter(user=user, email=email, verified=False).exists():
        raise NotConfirmed
    _accept(invitation, user)
    return user


def _name(text: str) -> str:
    """The name; "" if it can't be one."""
    try:
        return str(User._meta.get_field("first_name").clean(text, None))
    except ValidationError:
        return ""


def _find(token: str) -> Invitation:
    invitation = Invitation.objects.find(token)
    if invitation is None:
        raise InvitationGone
    return invitation
