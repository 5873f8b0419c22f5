"""One change of several leads: each is changed as it would be alone, and the results are counted."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from crm.models import (
    Attachment,
    BulkKind,
    Company,
    Deal,
    DealPerson,
    Lead,
    LeadChange,
    LeadResult,
    LeadStatus,
    Membership,
    Note,
    Tag,
    Task,
    User,
)
from crm.models.lead import LeadQuerySet, PersonErased
from crm.services.editing import change_owner, change_status, delete
from crm.services.status_changes import StatusChange, status_change
from crm.services.tags import put_tag, take_tag

TARGETS: Final[Mapping[BulkKind, Any]] = {
    BulkKind.STATUS: LeadStatus,
    BulkKind.ADD_TAG: Tag,
    BulkKind.REMOVE_TAG: Tag,
}
ON_LEADS_AND_DEALS: Final[tuple[Any, ...]] = (Task, Note, Attachment)
OTHER_REASON: Final = "The database did not accept the change."
LONGEST_REASON: Final = 200  # characters


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What someone has agreed to, and when they were asked. Nothing beyond that is done.

    `rules`: the ids of the rules that may send the conversions.
    """

    leads: int
    conversions: int
    asked_at: datetime
    rules: frozenset[int]

    def covers(self, expected: StatusChange | None) -> bool:
        """True unless more conversions would be sent, or any by another rule."""
        if expected is None:
            return True
        return (
            expected.conversion_count <= self.conversions
            and expected.rules <= self.rules
        )


@dataclass(frozen=True, slots=True)
class ChangedLeads:
    """How many leads had each `LeadResult`, and how many were refused for each reason.

    `conversions`: how many will be sent because of the change.
    """

    counts: Mapping[str, int]
    refusals: Mapping[str, int] = field(default_factory=dict)
    conversions: int = 0

    def __getitem__(self, result: LeadResult) -> int:
        return self.counts.get(result, 0)


class MoreThanConfirmed(Exception):
    """More leads match by now, or more or other conversions would be sent, than were confirmed. Nothing was changed."""


class TargetGone(Exception):
    """The status, the owner or the tag can no longer be chosen. The message is for the user."""


class TargetArchived(TargetGone):
    """The status or tag was archived."""


def lead_change(*, company: Company, kind: BulkKind, target: int | None) -> LeadChange:
    """The change for the key of a status, an owner or a tag. Raises TargetGone, or TargetArchived."""
    if kind == BulkKind.DELETE:
        return LeadChange(kind)
    if kind == BulkKind.OWNER:
        return LeadChange(kind, None if target is None else _owner(company, target))
    entry = (
        TARGETS[kind]
        .objects.for_company(company)
        .select_related("company")
        .filter(pk=target)
        .first()
    )
    if entry is None:
        raise TargetGone(f"The {TARGETS[kind]._meta.verbose_name} was deleted.")
    if not entry.is_offered and kind != BulkKind.REMOVE_TAG:
        raise TargetArchived(
            f"{entry} was archived. Choose another {entry._meta.verbose_name}."
        )
    return LeadChange(kind, entry)


def _owner(company: Company, pk: int) -> User:
    member = (
        Membership.objects.for_company(company)
        .filter(user=pk)
        .select_related("user")
        .first()
    )
    if member is None:
        raise TargetGone("The owner is no longer in your company.")
    return member.user


@transaction.atomic
def change_leads(
    *,
    company: Company,
    change: LeadChange,
    keys: Collection[int],
    confirmed: Confirmation | None = None,
) -> ChangedLeads:
    """Change the company's leads with these keys, in one transaction.

    They are locked first, in the common lock order, so the counts match what happens. If one of them can't be changed,
    each is tried alone. Leads that others have changed since the question was asked stay as they are. Raises
    MoreThanConfirmed.
    """
    held = _locked(company, change, keys)
    since = _changed_since(change, held, confirmed.asked_at) if confirmed else ()
    due = [pk for pk in held if pk not in since]
    expected = _expected(change, due)
    if confirmed and not confirmed.covers(expected):
        raise MoreThanConfirmed
    conversions = expected.conversion_count if expected else 0
    left: dict[str, int] = {
        LeadResult.GONE: len(keys) - len(held),
        LeadResult.SINCE: len(since),
    }
    try:
        changed = _change(change, due)
    except (ValidationError, IntegrityError):
        counts, refusals = _one_by_one(change, due)
        return ChangedLeads({**left, **counts}, refusals, conversions)
    counts = Counter(
        {
            LeadResult.CHANGED.value: changed,
            LeadResult.UNCHANGED.value: len(due) - changed,
        }
    )
    return ChangedLeads({**left, **counts}, {}, conversions)


def _locked(
    company: Company, change: LeadChange, keys: Collection[int]
) -> dict[int, datetime]:
    """The leads with these keys that are current, locked, and when each was last changed.

    For a deletion, the leads merged into them are locked too.
    """
    pks = [*keys]
    if change.kind == BulkKind.DELETE:
        merged = Lead.objects.filter(merged_into__in=keys)
        pks += merged.values_list("pk", flat=True)
    rows = Lead.objects.for_company(company, keys=pks).order_by("pk")
    found = rows.select_for_update(no_key=True).values_list(
        "pk", "updated_at", "merged_into", "erased_at"
    )
    return {
        pk: moment
        for pk, moment, merged_into, erased_at in found
        if merged_into is None and erased_at is None
    }


def _changed_since(
    change: LeadChange, held: Mapping[int, datetime], asked_at: datetime
) -> set[int]:
    """The leads changed since then and, for a deletion, those given anything. None for a tag, which harms nothing.

    The times are compared in Python. PostgreSQL's statistics know of no lead changed so recently, so it would read all
    of these from an index, including what the previous chunks have changed.
    """
    if change.kind in (BulkKind.ADD_TAG, BulkKind.REMOVE_TAG):
        return set()
    changed = {pk for pk, moment in held.items() if moment > asked_at}
    if change.kind == BulkKind.DELETE:
        return changed | _given_since(held, asked_at)
    return changed


def _given_since(held: Collection[int], asked_at: datetime) -> set[int]:
    """The leads that have since got a deal, a task, a note or a file, including those on their deals.

    A query for each kind, by key: with an EXISTS for each, PostgreSQL read all tasks, notes and files of all companies,
    0.6 s for 25 leads.
    """
    deals = list(
        Deal.objects.filter(lead__in=held)
        .order_by()
        .values_list("pk", "lead", "created_at")
    )
    lead_of = {pk: lead for pk, lead, _ in deals}
    given = [(lead, moment) for _, lead, moment in deals]
    for kind in (DealPerson, *ON_LEADS_AND_DEALS):
        given += (
            kind._default_manager.filter(lead__in=held)
            .order_by()
            .values_list("lead", "created_at")
        )
    for kind in ON_LEADS_AND_DEALS:
        on_deals = (
            kind._default_manager.filter(deal__in=lead_of)
            .order_by()
            .values_list("deal", "created_at")
        )
        given += [(lead_of[deal], moment) for deal, moment in on_deals]
    return {lead for lead, moment in given if moment > asked_at}


def _expected(change: LeadChange, due: Collection[int]) -> StatusChange | None:
    if not isinstance(change.target, LeadStatus):
        return None
    return status_change(Lead.objects.filter(pk__in=due), change.target)


def _one_by_one(
    change: LeadChange, held: Collection[int]
) -> tuple[Counter[str], Counter[str]]:
    counts: Counter[str] = Counter()
    refusals: Counter[str] = Counter()
    for pk in held:
        try:
            counts[
                LeadResult.CHANGED if _change(change, [pk]) else LeadResult.UNCHANGED
            ] += 1
        except (ValidationError, IntegrityError) as error:
            counts[LeadResult.REFUSED] += 1
            refusals[_reason(error)[:LONGEST_REASON]] += 1
    return counts, refusals


def _reason(error: ValidationError | IntegrityError) -> str:
    """The reason as a sentence. The database's own message is not shown: it may contain the row's data."""
    if isinstance(error, ValidationError):
        return str(error.messages[0])
    return str(error) if isinstance(error, PersonErased) else OTHER_REASON


@transaction.atomic
def _change(change: LeadChange, keys: Collection[int]) -> int:
    """Make the change. Returns how many leads it changed."""
    return STEPS[change.kind](Lead.objects.filter(pk__in=keys), change.target)


def _delete(leads: LeadQuerySet, target: None) -> int:
    rows = list(leads.order_by("pk"))
    for row in rows:
        delete(row=row)
    return len(rows)


STEPS: Final[Mapping[BulkKind, Callable[[LeadQuerySet, Any], int]]] = {
    BulkKind.STATUS: lambda leads, status: change_status(leads=leads, status=status),
    BulkKind.OWNER: lambda leads, owner: change_owner(leads=leads, owner=owner),
    BulkKind.ADD_TAG: lambda leads, tag: put_tag(rows=leads, tag=tag),
    BulkKind.REMOVE_TAG: lambda leads, tag: take_tag(rows=leads, tag=tag),
    BulkKind.DELETE: _delete,
}
