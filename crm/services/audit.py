"""Writes the audit log. Services call `record` inside their transaction, so that both are committed or neither."""

from collections.abc import Iterable
from typing import Final

from django.core.cache import cache
from django.db import models

from crm.models import ApiKey, AuditAction, AuditEntry, Company, Membership, User
from crm.models.audit_entries import Details as Details
from crm.models.audit_entries import new_entry

READING_SECONDS: Final = 3600


def record(
    *,
    company: Company | int,
    action: AuditAction,
    about: models.Model | None = None,
    details: Details | None = None,
    actor: User | ApiKey | None = None,
) -> AuditEntry:
    """Add an entry to the company's audit log.

    `actor` defaults to the signed-in user or the API key of the request. `details` may hold ids, numbers and field
    names, but nothing about a lead and no token, address or hash.
    """
    entry = new_entry(
        company if isinstance(company, int) else company.pk,
        action,
        about,
        details,
        actor,
    )
    entry.save()
    return entry


def record_in_each(
    companies: Iterable[int],
    *,
    action: AuditAction,
    about: User,
    actor: User | None = None,
) -> None:
    """Add an entry to each of these companies' logs, in one statement: the time taken doesn't reveal their number."""
    AuditEntry.objects.bulk_create(
        [new_entry(company, action, about, None, actor) for company in companies]
    )


def record_reading_on(*, membership: Membership, what: str) -> None:
    """Record that a member reads a whole list through the API, once an hour for each list."""
    key = f"reading-on:{membership.company_id}:{membership.pk}:{what}".replace(" ", "-")
    if cache.add(key, 1, READING_SECONDS):
        details: Details = {"what": f"{what} through the API"}
        record(
            company=membership.company_id,
            action=AuditAction.EXPORT,
            details=details,
            actor=membership.user,
        )
