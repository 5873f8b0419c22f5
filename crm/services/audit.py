"""Writes the audit log. Services call `record` inside their transaction, so that both are committed or neither."""

from collections.abc import Iterable
from typing import Final

from django.core.cache import cache
from django.db import models

from crm.models import ApiKey, AuditAction, AuditEntry, Company, Deal, Invitation, Lead, Membership, User
from crm.models.audit import ActorKind
from crm.models.origin import current_actor

READING_SECONDS: Final = 3600
Details = dict[str, int | str | bool | list[str] | list[int] | None]


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
    entry = _entry(company if isinstance(company, int) else company.pk, action, about, details, actor)
    entry.save()
    return entry


def record_in_each(companies: Iterable[int], *, action: AuditAction, about: User, actor: User | None = None) -> None:
    """Add an entry to each of these companies' logs, in one statement: the time taken doesn't reveal their number."""
    AuditEntry.objects.bulk_create([_entry(company, action, about, None, actor) for company in companies])


def _entry(
    company: int,
    action: AuditAction,
    about: models.Model | None,
    details: Details | None,
    actor: User | ApiKey | None,
) -> AuditEntry:
    return AuditEntry(
        company_id=company,
        action=action,
        **_actor(actor or current_actor()),
        **_object(about),
        details=details or {},
    )


def record_reading_on(*, membership: Membership, what: str) -> None:
    """Record that a member reads a whole list through the API, once an hour for each list."""
    key = f"reading-on:{membership.company_id}:{membership.pk}:{what}".replace(" ", "-")
    if cache.add(key, 1, READING_SECONDS):
        details: Details = {"what": f"{what} through the API"}
        record(company=membership.company_id, action=AuditAction.EXPORT, details=details, actor=membership.user)


def name_of(user: User) -> str:
    """The user's name in the log. Never their address, because entries outlive the account."""
    return user.get_full_name() or f"User {user.pk}"


def _actor(actor: User | ApiKey | None) -> dict[str, object]:
    if isinstance(actor, User):
        return {"actor_kind": ActorKind.USER, "actor_id": actor.pk, "actor_name": name_of(actor)}
    if isinstance(actor, ApiKey):
        return {"actor_kind": ActorKind.API_KEY, "actor_id": actor.pk, "actor_name": str(actor)}
    return {"actor_kind": ActorKind.SYSTEM, "actor_name": ActorKind.SYSTEM.label}


def _object(about: models.Model | None) -> dict[str, object]:
    if about is None:
        return {}
    kind = about._meta.model_name or ""
    return {"object_kind": kind, "object_id": about.pk, "object_label": _label(about)[:120]}


def _label(about: models.Model) -> str:
    if isinstance(about, Lead | Deal):
        return f"{about._meta.verbose_name} {about.pk}".capitalize()  # a deal's title may name a person
    if isinstance(about, Invitation):
        return f"Invitation {about.pk} ({about.role})"  # str() would include the address
    if isinstance(about, User):
        name = about.get_full_name()
        return f"{name} ({about.pk})" if name else name_of(about)  # two people may share a name
    return str(about)
