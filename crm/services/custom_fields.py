"""Custom fields: how admins change them, and how the values of deleted ones are removed in the background.

Only the removal touches leads and deals: it takes a key out of `custom` and changes nothing else.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from crm.models import AuditAction, Company, CustomField, Deal, FieldSubject, Lead
from crm.models.custom_field import WITH_CHOICES, changed_choices, free_key
from crm.models.custom_lookups import COLUMN, has_value, with_keys_set
from crm.models.picklist import named_alike
from crm.models.tenancy import CompanyQuerySet
from crm.services import audit

# The key, "" for a new one, and the label of each choice.
Labels = Sequence[tuple[str, str]]

# For leads, and for deals; archived ones included, because their values stay.
FIELDS_AT_MOST: Final = 50
CHUNK: Final = 1_000  # rows in a statement
# A request that read it before its deletion may still write a value.
LONGEST_REQUEST: Final = timedelta(minutes=10)
SUBJECTS: Final[dict[str, type[Lead] | type[Deal]]] = {
    FieldSubject.LEAD: Lead,
    FieldSubject.DEAL: Deal,
}


@transaction.atomic
def add_field(*, field: CustomField, labels: Labels = ()) -> CustomField:
    """Save a new field as the last one. Raises ValidationError, also if there are FIELDS_AT_MOST already."""
    # Two admins at once can't create the same key or name either.
    Company.objects.hold(field.company.pk)
    _check_name(field)
    siblings = CustomField.objects.of(field.company, field.subject)
    existing = list(siblings.not_removed())
    if len(existing) >= FIELDS_AT_MOST:
        what = FieldSubject(field.subject).label.lower()
        raise ValidationError(
            f"There are {FIELDS_AT_MOST} fields for {what}, the most that there can be. Delete one first."
        )
    field.choices = changed_choices([], labels) if field.type in WITH_CHOICES else []
    field.key = free_key(field.name, siblings.values_list("key", flat=True))
    field.position = max((each.position for each in existing), default=0) + 1
    field.save()
    _record(field, AuditAction.CUSTOM_FIELD_ADDED)
    return field


@transaction.atomic
def change_field(
    *, field: CustomField, fields: Sequence[str], labels: Labels | None = None
) -> CustomField:
    """Save these columns of the field, and its choices if there are `labels`. Raises ValidationError."""
    Company.objects.hold(field.company_id)
    _check_name(field)
    if labels is not None and field.type in WITH_CHOICES:
        field.choices = changed_choices(
            CustomField.objects.get(pk=field.pk).choices, labels
        )
        fields = [*fields, "choices"]
    if fields:
        field.save(update_fields=fields)
        _record(field, AuditAction.CUSTOM_FIELD_CHANGED, {"fields": [*fields]})
    return field


@transaction.atomic
def set_archived(*, field: CustomField, archived: bool) -> None:
    """Archive the field, or restore it. Its values stay."""
    rows = CustomField.objects.filter(pk=field.pk, archived_at__isnull=archived)
    if rows.update(archived_at=Now() if archived else None):
        _record(field, AuditAction.CUSTOM_FIELD_CHANGED, {"archived": archived})


@transaction.atomic
def move_field(*, field: CustomField, place: Callable[[int], int]) -> None:
    """Move the field among those in use. `place` turns its index there into the new one; it stops at the ends."""
    Company.objects.hold(field.company_id)
    before = list(CustomField.objects.of(field.company_id, field.subject).in_use())
    after = [each for each in before if each != field]
    if field not in before:
        return
    after.insert(max(place(before.index(field)), 0), field)
    if after != before:
        for position, each in enumerate(after, start=1):
            each.position = position
        CustomField.objects.bulk_update(after, ["position"])
        _record(field, AuditAction.CUSTOM_FIELD_CHANGED, {"fields": ["position"]})


@transaction.atomic
def delete_field(*, field: CustomField) -> None:
    """Delete the field: it disappears at once, and a worker removes its values."""
    if CustomField.objects.filter(pk=field.pk, removed_at=None).update(
        removed_at=Now()
    ):
        _record(field, AuditAction.CUSTOM_FIELD_DELETED)


def rows_with_value(field: CustomField) -> QuerySet[Any]:
    """The leads or deals that have a value of the field."""
    rows: CompanyQuerySet[Any] = SUBJECTS[field.subject].objects.all()
    return (
        rows.for_company(field.company_id)
        .exclude(**{COLUMN: {}})
        .filter(has_value(field))
    )


def remove_values(*, go_on: Callable[[], bool]) -> None:
    """Remove the values of deleted fields, chunk by chunk, and then the fields, until `go_on` returns False."""
    for field in CustomField.objects.exclude(removed_at=None).order_by("removed_at"):
        last, removed = 0, 0
        while pks := _remove_chunk(field, after=last):
            last, removed = pks[-1], removed + len(pks)
            if not go_on():
                return
        if not removed:
            CustomField.objects.filter(
                pk=field.pk, removed_at__lt=Now() - LONGEST_REQUEST
            ).delete()


@transaction.atomic
def _remove_chunk(field: CustomField, after: int) -> list[int]:
    """Remove the next chunk of values. Returns the ids of its rows, locked in order, as in bulk changes."""
    rows = (
        rows_with_value(field)
        .filter(pk__gt=after)
        .order_by("pk")
        .select_for_update(no_key=True)
    )
    pks = list(rows.values_list("pk", flat=True)[:CHUNK])
    SUBJECTS[field.subject].objects.filter(pk__in=pks).update(
        custom=with_keys_set({field.key: None})
    )
    return pks


def _check_name(field: CustomField) -> None:
    others = (
        CustomField.objects.of(field.company_id, field.subject)
        .not_removed()
        .exclude(pk=field.pk)
    )
    if named_alike(others, field.name):
        raise ValidationError(
            {"name": "There is a field of this name already. It may be archived."}
        )


def _record(
    field: CustomField, action: AuditAction, details: audit.Details | None = None
) -> None:
    audit.record(
        company=field.company_id,
        action=action,
        about=field,
        details={"for": field.subject, **(details or {})},
    )
