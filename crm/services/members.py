"""Changing the members of a company, which always keeps an active admin."""

from collections.abc import Iterator
from contextlib import contextmanager

from allauth.account.models import EmailAddress
from django.db import transaction
from django.db.models.functions import Now

from crm.models import ApiKey, AuditAction, Company, Membership, User
from crm.models.roles import Action, Role, may
from crm.services import audit


class LastAdmin(Exception):
    """The company would be left without an active admin."""


def change_role(*, membership: Membership, role: str) -> None:
    """Change a member's role. If they may no longer create API keys, revoke theirs. Raises LastAdmin."""
    with _keep_an_admin(membership.company):
        Membership.objects.filter(pk=membership.pk).update(role=role)
        _record(AuditAction.ROLE_CHANGED, membership, {"role": role})
        if not may(role, Action.MANAGE_COMPANY):
            _revoke_keys_of(membership)


def show_outcomes(*, membership: Membership, shown: bool) -> None:
    """Show or hide the outcomes column in this member's lists of leads and deals."""
    Membership.objects.filter(pk=membership.pk).update(shows_outcomes=shown)


def deactivate(*, membership: Membership) -> None:
    """End a member's access from their next request on, and revoke the API keys they created. Raises LastAdmin."""
    with _keep_an_admin(membership.company):
        Membership.objects.filter(pk=membership.pk).update(is_active=False)
        _record(AuditAction.MEMBER_DEACTIVATED, membership)
        _revoke_keys_of(membership)


@transaction.atomic
def reactivate(*, membership: Membership) -> None:
    """Restore a member's access in their previous role. Their API keys stay revoked."""
    Membership.objects.filter(pk=membership.pk).update(is_active=True)
    _record(AuditAction.MEMBER_REACTIVATED, membership, {"role": membership.role})


@contextmanager
def _keep_an_admin(company: Company) -> Iterator[None]:
    with transaction.atomic():
        # The lock makes two admins who remove each other do so one after the other.
        Company.objects.select_for_update().get(pk=company.pk)
        yield
        if not Membership.objects.for_company(company).active().filter(role=Role.ADMIN).exists():
            raise LastAdmin


def _revoke_keys_of(membership: Membership) -> None:
    own = ApiKey.objects.for_company(membership.company).filter(created_by=membership.user, revoked_at=None)
    own.update(revoked_at=Now())


def _record(action: AuditAction, membership: Membership, details: audit.Details | None = None) -> None:
    audit.record(company=membership.company_id, action=action, about=membership.user, details=details)


def confirm_address(user: User) -> None:
    """Mark the user's address as confirmed and delete any other."""
    address = user.email.lower()
    EmailAddress.objects.filter(user=user).exclude(email=address).delete()
    EmailAddress.objects.update_or_create(user=user, email=address, defaults={"verified": True, "primary": True})
