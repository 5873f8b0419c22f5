"""New entries of the audit log, which say of leads and people no more than they may."""

from django.db import models

from crm.models.api_key import ApiKey
from crm.models.audit import ActorKind, AuditAction, AuditEntry
from crm.models.deal import Deal
from crm.models.lead import Lead
from crm.models.people import Invitation, User
from crm.models.tracking.origin import current_actor

Details = dict[str, int | str | bool | list[str] | list[int] | None]


def new_entry(
    company: int,
    action: AuditAction,
    about: models.Model | None,
    details: Details | None,
    actor: User | ApiKey | None,
) -> AuditEntry:
    """An entry that is not saved yet. `actor` defaults to the signed-in user or the API key of the request."""
    return AuditEntry(
        company_id=company,
        action=action,
        **_actor(actor or current_actor()),
        **_object(about),
        details=details or {},
    )


def name_of(user: User) -> str:
    """The user's name in the log. Never their address, because entries outlive the account."""
    return user.get_full_name() or f"User {user.pk}"


def _actor(actor: User | ApiKey | None) -> dict[str, object]:
    if isinstance(actor, User):
        return {
            "actor_kind": ActorKind.USER,
            "actor_id": actor.pk,
            "actor_name": name_of(actor),
        }
    if isinstance(actor, ApiKey):
        return {
            "actor_kind": ActorKind.API_KEY,
            "actor_id": actor.pk,
            "actor_name": str(actor),
        }
    return {"actor_kind": ActorKind.SYSTEM, "actor_name": ActorKind.SYSTEM.label}


def _object(about: models.Model | None) -> dict[str, object]:
    if about is None:
        return {}
    kind = about._meta.model_name or ""
    return {
        "object_kind": kind,
        "object_id": about.pk,
        "object_label": _label(about)[:120],
    }


def _label(about: models.Model) -> str:
    if isinstance(about, Lead | Deal):
        # A deal's title may name a person.
        return f"{about._meta.verbose_name} {about.pk}".capitalize()
    if isinstance(about, Invitation):
        # str() would include the address.
        return f"Invitation {about.pk} ({about.role})"
    if isinstance(about, User):
        name = about.get_full_name()
        # Two people may share a name.
        return f"{name} ({about.pk})" if name else name_of(about)
    return str(about)
