"""Adding sources, giving them new addresses, switching them off, and deleting them."""

from collections.abc import Sequence
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from crm.models import AuditAction, Company, IntakeSource
from crm.models.people import address_token, sha256
from crm.services import audit

SOURCES_AT_MOST: Final = 100


@transaction.atomic
def add_source(*, source: IntakeSource) -> str:
    """Save a new source and return the token of its address. Raises ValidationError if there are too many."""
    Company.objects.hold(source.company_id)
    own = IntakeSource.objects.for_company(source.company_id)
    if own.count() >= SOURCES_AT_MOST:
        raise ValidationError(f"There can be at most {SOURCES_AT_MOST} sources.")
    token = _new_token(source)
    source.save()
    _record(source, AuditAction.SOURCE_ADDED)
    return token


@transaction.atomic
def change_source(*, source: IntakeSource, fields: Sequence[str]) -> None:
    """Save these fields."""
    source.save(update_fields=fields)
    _record(source, AuditAction.SOURCE_CHANGED, fields)


def note_unsigned(*, source: IntakeSource) -> None:
    """Count a request with a wrong signature."""
    IntakeSource.objects.filter(pk=source.pk).update(
        unsigned_count=F("unsigned_count") + 1, unsigned_at=Now()
    )


@transaction.atomic
def renew_address(*, source: IntakeSource) -> str:
    """Give the source a new address and return its token. The old one no longer works."""
    token = _new_token(source)
    source.save(update_fields=["token_sha256"])
    _record(source, AuditAction.SOURCE_CHANGED, ["address"])
    return token


@transaction.atomic
def delete_source(*, source: IntakeSource) -> None:
    """Delete it with the payloads that it has sent. Their leads stay."""
    # No worker makes a lead of one of these payloads meanwhile.
    Company.objects.hold(source.company_id)
    _record(source, AuditAction.SOURCE_DELETED)
    source.delete()


def _new_token(source: IntakeSource) -> str:
    token = address_token()
    source.token_sha256 = sha256(token)
    return token


def _record(
    source: IntakeSource, action: AuditAction, fields: Sequence[str] = ()
) -> None:
    details: audit.Details = {"fields": [*fields]} if fields else {}
    audit.record(
        company=source.company_id, action=action, about=source, details=details
    )
