"""What is done to the members of a company. A company always keeps an admin who can come in."""

from collections.abc import Iterator
from contextlib import contextmanager

from allauth.account.models import EmailAddress
from django.db import transaction
from django.db.models.functions import Now

from crm.models import ApiKey, AuditAction, Company, Membership, User
from crm.models.roles import Action, Role, may
from crm.services import audit


class LastAdmin(Exception):
    """Nobody would be left to manage the company: make somebody else an admin first."""


def change_role(*, membership: Membership, role: str) -> None:
    """Give a member another role. Raises LastAdmin. Keys that they made end with the right to make them."""
    with _an_admin_stays(membership.company):
        Membership.objects.filter(pk=membership.pk).update(role=role)
        _record(AuditAction.ROLE_CHANGED, membership, {"role": role})
        if not may(role, Action.MANAGE_COMPANY):
            _revoke_keys_of(membership)


def show_outcomes(*, membership: Membership, shown: bool) -> None:
    """Show this member what their leads and deals came to, as a column of the lists, from now on; or don't."""
    Membership.objects.filter(pk=membership.pk).update(shows_outcomes=shown)


def deactivate(*, membership: Membership) -> None:
    """Shut a member out, from their next request on, and end the API keys that they made. Raises LastAdmin."""
    with _an_admin_stays(membership.company):
        Membership.objects.filter(pk=membership.pk).update(is_active=False)
        _record(AuditAction.MEMBER_DEACTIVATED, membership)
        _revoke_keys_of(membership)


@transaction.atomic
def reactivate(*, membership: Membership) -> None:
    """Let a former member in again, in the role they had. Their API keys stay revoked."""
    Membership.objects.filter(pk=membership.pk).update(is_active=True)
    _record(AuditAction.MEMBER_REACTIVATED, membership, {"role": membership.role})


@contextmanager
def _an_admin_stays(company: Company) -> Iterator[None]:
    with transaction.atomic():
        # Two admins who remove each other at once come here one after the other.
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
    """Take the user's address as theirs, and forget any other."""
    address = user.email.lower()
    EmailAddress.objects.filter(user=user).exclude(email=address).delete()
    EmailAddress.objects.update_or_create(user=user, email=address, defaults={"verified": True, "primary": True})
