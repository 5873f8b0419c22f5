"""Creating companies, and the changes that their admins and the operator make."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from django.db import transaction
from django.utils.crypto import get_random_string
from django.utils.text import slugify

from crm.models import ApiKey, AuditAction, Company, LeadMerge, Membership, User
from crm.models.roles import Role
from crm.services import audit
from crm.services.people import confirm_address
from crm.signals import company_closed, company_reopened

KEYS_AT_MOST: Final = 50  # active API keys of a company


@transaction.atomic
def create_company(
    *, name: str, admin: User, currency: str = "", time_zone: str = ""
) -> Company:
    """Create a company with its first admin. Names need not be unique. Currency and time zone have defaults."""
    company = Company(name=name, slug=_free_slug(name))
    company.currency, company.time_zone = (
        currency or company.currency,
        time_zone or company.time_zone,
    )
    company.save()
    Membership.objects.create(company=company, user=admin, role=Role.ADMIN)
    return company


@transaction.atomic
def provision_company(*, name: str, admin: User) -> Company:
    """Create a company for the operator. Its first admin is an existing user or an unsaved one.

    The operator vouches for the admin's address, so no confirmation e-mail is needed.
    """
    if admin._state.adding:
        admin.save()
    confirm_address(admin)
    company = create_company(name=name, admin=admin)
    audit.record(
        company=company,
        action=AuditAction.MEMBER_JOINED,
        about=admin,
        details={"role": Role.ADMIN.value},
    )
    return company


def _free_slug(name: str) -> str:
    slug = slugify(name)[:50] or "company"
    taken = Company.objects.filter(slug=slug).exists()
    return f"{slug}-{get_random_string(6).lower()}" if taken else slug


def save_company(*, company: Company, fields: Sequence[str]) -> None:
    """Save these fields of the company, if any."""
    if not fields:
        return
    with transaction.atomic():
        company.save(update_fields=fields)
        audit.record(
            company=company,
            action=AuditAction.COMPANY_CHANGED,
            about=company,
            details={"fields": [*fields]},
        )


@dataclass(frozen=True, slots=True)
class KeyLimits:
    """What limits a key beyond its role. An empty value is no limit; networks are in CIDR notation."""

    scopes: Sequence[str] = ()
    networks: Sequence[str] = ()
    expires_at: datetime | None = None

    def set_fields(self) -> audit.Details:
        """For the audit log: the scopes, and which other limits there are. It holds no address."""
        others = [name for name in ("networks", "expires_at") if getattr(self, name)]
        entries = {"scopes": [*self.scopes], "limits": others}
        return {name: values for name, values in entries.items() if values}


UNLIMITED: Final = KeyLimits()


class TooManyKeys(Exception):
    """The company has as many API keys as it may have. The message is for the user."""


def issue_api_key(
    *,
    company: Company,
    role: str,
    name: str,
    user: User | None = None,
    limits: KeyLimits = UNLIMITED,
) -> tuple[ApiKey, str]:
    """Create a key. Returns it with its text, which is not stored.

    Raises TooManyKeys if the company has KEYS_AT_MOST active keys.
    """
    with transaction.atomic():
        # Two admins at once can't exceed the limit either.
        Company.objects.hold(company.pk)
        unrevoked = ApiKey.objects.for_company(company).filter(revoked_at=None)
        if unrevoked.unexpired().count() >= KEYS_AT_MOST:
            raise TooManyKeys(
                f"There are {KEYS_AT_MOST} API keys, the most that a company can have. Revoke one first."
            )
        key, text = ApiKey.objects.issue(
            company=company, role=role, name=name, user=user, **asdict(limits)
        )
        audit.record(
            company=company,
            action=AuditAction.API_KEY_CREATED,
            about=key,
            details={"role": role, **limits.set_fields()},
        )
    return key, text


def revoke_api_key(*, key: ApiKey) -> None:
    """Revoke a key: the next request with it is rejected."""
    with transaction.atomic():
        key.revoke()
        audit.record(
            company=key.company_id, action=AuditAction.API_KEY_REVOKED, about=key
        )


def deactivate_company(*, company: Company) -> None:
    """End all access to the company and cancel its pending events. The data stays, but no merge can be undone.

    When this returns, no request for the company is in flight. It can't be part of a larger transaction.
    """
    with transaction.atomic(durable=True):
        if Company.objects.filter(pk=company.pk, is_active=True).update(
            is_active=False
        ):
            company_closed.send(sender=Company, company_id=company.pk)
            # Undoing a merge would reopen events that the merge has ended, but here everything ends. Any merge that the
            # signal's receivers have waited for has written its record by now.
            LeadMerge.objects.for_company(company.pk).delete()
            _record_switch(company, active=False)


def reactivate_company(*, company: Company) -> None:
    """Restore access. New events are sent; cancelled ones stay cancelled."""
    with transaction.atomic():
        if Company.objects.filter(pk=company.pk, is_active=False).update(
            is_active=True
        ):
            company_reopened.send(sender=Company, company_id=company.pk)
            _record_switch(company, active=True)


def _record_switch(company: Company, *, active: bool) -> None:
    details: audit.Details = {"fields": ["is_active"], "active": active}
    audit.record(
        company=company,
        action=AuditAction.COMPANY_CHANGED,
        about=company,
        details=details,
    )
