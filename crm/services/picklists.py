"""Changing a company's lists: adding, renaming, ordering, archiving and deleting their entries.

None of this fires or stops a CRM event: only the meaning of a status or stage does, and leads and deals are moved only
to an entry with the same meaning (docs/decisions/picklists-and-custom-fields.md).
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Max, Q, QuerySet, RestrictedError
from django.db.models.functions import Now
from django.utils import timezone

from crm.models import (
    AuditAction,
    Change,
    Company,
    CrmEvent,
    Deal,
    Lead,
    LeadSource,
    LeadStatus,
    LeadType,
    LostReason,
    Stage,
    Tag,
)
from crm.models.company import MAX_GRACE_SECONDS
from crm.models.custom_field import free_key
from crm.models.picklist import CODE_LENGTH, LAST_POSITION, PicklistEntry
from crm.models.steps import PipelineStep
from crm.models.tracking.origin import acting_as, current_actor
from crm.services import audit
from crm.services.deadlocks import tried_again
from postgresql.bounds import LONG_SECONDS, statements_may_take

# In a list, archived ones included: pages and selects show all of it.
ENTRIES_AT_MOST: Final = 200
FULL: Final = f"This list has {ENTRIES_AT_MOST} entries, the most that it can have. Delete one first."
GIVEN_MEANWHILE: Final = "Someone has just used it for another lead or deal. Try again."
FIXED: Final = "Its meaning was fixed when it was added."
NO_TARGET: Final = "Choose another entry of this list with the same meaning."


@dataclass(frozen=True, slots=True)
class Picklist:
    """A list, and the field by which leads and deals refer to its entries: by their `key`."""

    kind: str
    model: type[PicklistEntry]
    users: tuple[type[Lead] | type[Deal], ...]
    field: str
    key: str = "pk"

    def uses(self, entry: PicklistEntry) -> list[QuerySet[Any]]:
        """The leads, or the deals, or both, that have the entry."""
        has_it = {self.field: getattr(entry, self.key)}
        return [
            model.objects.for_company(entry.company_id).filter(**has_it)
            for model in self.users
        ]

    def is_used(self, entry: PicklistEntry) -> bool:
        return any(rows.exists() for rows in self.uses(entry))

    def targets(self, entry: PicklistEntry) -> QuerySet[Any]:
        """The entries that can take over what uses this one. Their kind is the same, so that no event follows."""
        return offered_next_to(entry).filter(**entry.same_kind)


STATUSES: Final = Picklist("statuses", LeadStatus, (Lead,), "status")
STAGES: Final = Picklist("stages", Stage, (Deal,), "stage")
LOST_REASONS: Final = Picklist("lost-reasons", LostReason, (Deal,), "lost_reason")
TYPES: Final = Picklist("types", LeadType, (Lead,), "type", key="code")
SOURCES: Final = Picklist("sources", LeadSource, (Lead,), "source", key="name")
TAGS: Final = Picklist("tags", Tag, (Lead, Deal), "tags")
PICKLISTS: Final = {
    each.kind: each for each in (STATUSES, STAGES, LOST_REASONS, TYPES, SOURCES, TAGS)
}
_OF_MODEL: Final[dict[type[PicklistEntry], Picklist]] = {
    each.model: each for each in PICKLISTS.values()
}


def picklist_of(entry: PicklistEntry) -> Picklist:
    return _OF_MODEL[type(entry)]


def offered_next_to(entry: PicklistEntry) -> QuerySet[Any]:
    """The other entries of its list that are not archived."""
    offered: QuerySet[Any] = _list_of(entry).offered()
    return offered.exclude(pk=entry.pk)


def add_entry(*, entry: PicklistEntry) -> PicklistEntry:
    """Add an entry at the end of its list. Raises ValidationError if the list is full."""
    with list_locked(entry.company_id):
        # For a company that was restored, or made by a process of a former version.
        entry.company.ensure_steps()
        positions = list(_list_of(entry).values_list("position", flat=True))
        if len(positions) >= ENTRIES_AT_MOST:
            raise ValidationError(FULL)
        entry.position = min(max(positions, default=0) + 1, LAST_POSITION)
        if isinstance(entry, LeadType):
            taken = _list_of(entry).values_list("code", flat=True)
            entry.code = free_key(
                entry.name, taken, longest=CODE_LENGTH, otherwise="type"
            )
        entry.save()
        _record(entry, "added")
    return entry


@tried_again
def change_entry(*, entry: PicklistEntry, fields: Collection[str]) -> None:
    """Save these fields of an entry. Renaming a source renames it on its leads, too.

    Raises ValidationError for the meaning of a status or stage: a lead that gets the entry at the same moment would
    have the event of the other meaning, or none.
    """
    changed = list(fields)
    if not changed:
        return
    if "meaning" in changed:
        raise ValidationError(FIXED)
    with list_locked(entry.company_id), statements_may_take(LONG_SECONDS):
        before = _current(entry)
        entry.save(update_fields=changed)
        if picklist_of(entry) is SOURCES and "name" in changed:
            _rewrite(before, entry)
        _record(entry, "changed", fields=changed)


def move_entry(*, entry: PicklistEntry, place: Callable[[int], int]) -> None:
    """Move an entry among those that are not archived. `place` turns its index there into the new one."""
    with list_locked(entry.company_id):
        offered = list(_list_of(entry).offered())
        if entry not in offered:
            return
        order = [each for each in offered if each != entry]
        order.insert(max(place(offered.index(entry)), 0), entry)
        for position, each in enumerate(order, start=1):
            each.position = position
        type(entry).objects.bulk_update(order, ["position"])
        _record(entry, "moved")


def archive_entry(*, entry: PicklistEntry) -> None:
    """Archive the entry. It stays where it is used. Raises ValidationError if the list can't be without it."""
    with list_locked(entry.company_id):
        _refuse_if_needed(_current(entry))
        if (
            _list_of(entry)
            .filter(pk=entry.pk, archived_at=None)
            .update(archived_at=Now())
        ):
            _record(entry, "archived")


def unarchive_entry(*, entry: PicklistEntry) -> None:
    """Offer an archived entry again."""
    with list_locked(entry.company_id):
        _current(entry)
        archived = _list_of(entry).filter(pk=entry.pk).exclude(archived_at=None)
        if archived.update(archived_at=None):
            _record(entry, "unarchived")


@tried_again
def delete_entry(*, entry: PicklistEntry, move_to: PicklistEntry | None) -> int:
    """Move the leads and deals with this entry to another one, and delete it. Returns how many were moved.

    Tags are taken off instead. Raises ValidationError if the list can't be without the entry, if an undo may need it
    (`why_not_yet`), or if it is used and `move_to` isn't one of its `targets`.
    """
    picklist = picklist_of(entry)
    with list_locked(entry.company_id), statements_may_take(LONG_SECONDS):
        # Not locked yet: anyone who gives a lead this status locks the lead, and waits for the status on commit.
        entry = _current(entry)
        _refuse_if_needed(entry)
        _refuse_if_just_changed(entry)
        moved = 0
        if picklist is not TAGS and picklist.is_used(entry):
            target = move_to and picklist.targets(entry).filter(pk=move_to.pk).first()
            if target is None:
                raise ValidationError(NO_TARGET)
            moved = _rewrite(entry, target)
        # From here on, no other transaction that gives it to a lead can commit. One that has done so is found.
        list(_list_of(entry).select_for_update(of=("self",)).filter(pk=entry.pk))
        _refuse_if_just_changed(entry)
        _record(entry, "deleted", moved=moved)
        try:
            entry.delete()
        except RestrictedError:
            raise ValidationError(GIVEN_MEANWHILE) from None
    return moved


def _rewrite(old: PicklistEntry, new: PicklistEntry) -> int:
    """Replace the old entry with the new one in all rows. A change of status or stage is in each row's history."""
    picklist = picklist_of(old)
    with acting_as(current_actor()):  # no action: it can't be undone
        return sum(
            rows.update(**{picklist.field: getattr(new, picklist.key)})
            for rows in picklist.uses(old)
        )


def why_not_yet(entry: PicklistEntry) -> str:
    """Why the entry can't be deleted now, as a sentence; "" if it can."""
    since = timezone.now() - timedelta(seconds=MAX_GRACE_SECONDS)
    if isinstance(entry, LeadType):
        # Leads hold its code without a foreign key: anyone who was offered it must have saved their lead before.
        if entry.archived_at is None:
            return "Archive it first, and delete it in 10 minutes: someone may be saving a lead with it."
        reason = "It was archived just now, and someone may be saving a lead with it. Delete it"
        return _until(entry.archived_at, since, reason)
    if isinstance(entry, PipelineStep) and (changed := _last_change(entry, since)):
        noun = picklist_of(entry).users[0]._meta.verbose_name
        undoable = f"Someone has just moved a {noun} into or out of it, and can still undo that."
        return _until(changed, since, f"{undoable} Archive it, or delete it")
    return ""


def _until(time: datetime, since: datetime, reason: str) -> str:
    """The reason with the minutes until `time` is as long ago as `since`; "" if it already is."""
    minutes = ceil((time - since).total_seconds() / 60)
    if minutes <= 0:
        return ""
    unit = "minute" if minutes == 1 else "minutes"
    return f"{reason} in {minutes} {unit}."


def _last_change(entry: PipelineStep, since: datetime) -> datetime | None:
    """When someone last moved a lead or deal into or out of the step, or added one in it, and can still undo that."""
    (model,) = picklist_of(entry).users
    changes = Change.objects.for_company(entry.company_id).filter(
        changed_at__gt=since, field=model.step
    )
    named = changes.exclude(action=None).filter(
        Q(old=str(entry.pk)) | Q(new=str(entry.pk))
    )
    events = CrmEvent.objects.for_company(entry.company_id).filter(
        occurred_at__gt=since, kind=model.created_kind
    )
    added = events.exclude(action=None).filter(
        **{f"{model._meta.model_name}__{model.step}": entry}
    )
    times = [
        named.aggregate(at=Max("changed_at"))["at"],
        added.aggregate(at=Max("occurred_at"))["at"],
    ]
    return max((time for time in times if time), default=None)


def _list_of(entry: PicklistEntry) -> Any:
    """All entries of its list; for a stage, those of its pipeline."""
    return type(entry).objects.beside(entry)


@contextmanager
def list_locked(company_id: int) -> Iterator[None]:
    """A transaction in which no one else changes a list of the company."""
    with transaction.atomic():
        Company.objects.hold(company_id)
        yield


def _current(entry: PicklistEntry) -> Any:
    """The entry as it is now. Raises ValidationError if it has been deleted."""
    found = _list_of(entry).filter(pk=entry.pk).first()
    if found is None:
        raise ValidationError("Someone has just deleted it.")
    return found


def _refuse_if_needed(entry: PicklistEntry) -> None:
    if reason := entry.why_kept(offered_next_to(entry)):
        raise ValidationError(reason)


def _refuse_if_just_changed(entry: PicklistEntry) -> None:
    if reason := why_not_yet(entry):
        raise ValidationError(reason)


def _record(entry: PicklistEntry, change: str, **details: Any) -> None:
    about: audit.Details = {
        "kind": picklist_of(entry).kind,
        "change": change,
        **details,
    }
    audit.record(
        company=entry.company_id,
        action=AuditAction.STEPS_CHANGED,
        about=entry,
        details=about,
    )
