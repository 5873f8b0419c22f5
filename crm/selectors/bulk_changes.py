"""Bulk changes for their pages: a description in words, what is deleted along with leads, and the totals."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Exists, OuterRef, QuerySet

from crm.models import (
    Attachment,
    BulkChange,
    BulkKind,
    Company,
    Deal,
    DealPerson,
    Lead,
    LeadResult,
    LeadStatus,
    Note,
    Tag,
    Task,
    User,
)
from crm.models.lead import LeadQuerySet
from postgresql.bounds import LONG_SECONDS, statements_may_take

LISTED: Final = 50
NO_OWNER: Final = "no one"
# What is done to so many leads and, below, what has been done.
TITLES: Final[Mapping[str, str]] = {
    BulkKind.STATUS: "Set the status of {leads} to {target}",
    BulkKind.OWNER: "Set the owner of {leads} to {target}",
    BulkKind.ADD_TAG: "Add the tag {target} to {leads}",
    BulkKind.REMOVE_TAG: "Remove the tag {target} from {leads}",
    BulkKind.DELETE: "Delete {leads}",
}
SENTENCES: Final[Mapping[str, tuple[str, str]]] = {
    BulkKind.STATUS: ("{leads} is now {target}.", "{leads} are now {target}."),
    BulkKind.OWNER: (
        "{leads} now belongs to {target}.",
        "{leads} now belong to {target}.",
    ),
    BulkKind.ADD_TAG: (
        "{leads} now has the tag {target}.",
        "{leads} now have the tag {target}.",
    ),
    BulkKind.REMOVE_TAG: (
        "{leads} no longer has the tag {target}.",
        "{leads} no longer have the tag {target}.",
    ),
    BulkKind.DELETE: ("{leads} was deleted.", "{leads} were deleted."),
}
GONE: Final[Mapping[str, str]] = {
    BulkKind.STATUS: "a deleted status",
    BulkKind.OWNER: "a deleted account",
    BulkKind.ADD_TAG: "(deleted)",
    BulkKind.REMOVE_TAG: "(deleted)",
}
OUTCOMES: Final[Mapping[str, str]] = {
    LeadResult.CHANGED: "new",
    LeadResult.UNCHANGED: "update",
    LeadResult.SINCE: "duplicate",
    LeadResult.GONE: "duplicate",
    LeadResult.REFUSED: "bad",
    LeadResult.UNMATCHED: "duplicate",
}


def _tags(company: Company) -> QuerySet[Any]:
    return Tag.objects.for_company(company)


TARGETS: Final[Mapping[str, Callable[[Company], QuerySet[Any]]]] = {
    BulkKind.STATUS: lambda company: LeadStatus.objects.for_company(company),
    BulkKind.OWNER: lambda company: User.objects.filter(memberships__company=company),
    BulkKind.ADD_TAG: _tags,
    BulkKind.REMOVE_TAG: _tags,
}


def counted(count: int) -> str:
    """“1 lead”, “1,204 leads”."""
    return f"{count:,} lead{'' if count == 1 else 's'}"


def title_of(kind: str, target: object, count: int) -> str:
    """What is done to so many leads: “Set the status of 1,204 leads to Qualified”."""
    return TITLES[kind].format(leads=counted(count), target=target or NO_OWNER)


def sentence_of(kind: str, target: object, count: int) -> str:
    """What has been done to so many leads: “1,204 leads are now Qualified.”"""
    one, several = SENTENCES[kind]
    return (one if count == 1 else several).format(
        leads=counted(count), target=target or NO_OWNER
    )


@dataclass(frozen=True, slots=True)
class ResultTotal:
    """How many leads had one result. `outcome` is the outcome of an import that has the same colour."""

    label: str
    count: int
    outcome: str


@dataclass(frozen=True, slots=True)
class ListedChange:
    """A bulk change with its title, its totals, and the reasons for refusals with their counts, most frequent first."""

    row: BulkChange
    title: str
    totals: Sequence[ResultTotal]
    refusals: Sequence[tuple[str, int]]


def changes_of(company: Company) -> list[ListedChange]:
    """The company's bulk changes, the newest first. Four queries at most."""
    return _listed(
        company,
        list(
            BulkChange.objects.for_company(company).select_related(
                "made_by", "api_key"
            )[:LISTED]
        ),
    )


def listed_change(bulk_change: BulkChange) -> ListedChange:
    """One bulk change, as `changes_of` returns it. One query at most."""
    return _listed(bulk_change.company, [bulk_change])[0]


def _listed(company: Company, rows: Sequence[BulkChange]) -> list[ListedChange]:
    names = _names(company, rows)
    return [
        ListedChange(
            row,
            title_of(
                row.kind,
                None if row.target is None else names[row.kind].get(row.target),
                row.row_count,
            ),
            [
                ResultTotal(each.label, row.done.get(each, 0), OUTCOMES[each])
                for each in LeadResult
            ],
            sorted(row.refusals.items(), key=lambda pair: -pair[1]),
        )
        for row in rows
    ]


def _names(company: Company, rows: Sequence[BulkChange]) -> dict[str, dict[int, str]]:
    """By kind, the names of the statuses, owners and tags that these changes are about."""
    keys: defaultdict[str, set[int]] = defaultdict(set)
    for row in rows:
        if row.target is not None:
            keys[row.kind].add(row.target)
    names: dict[str, dict[int, str]] = {}
    for kind, asked in keys.items():
        found = {
            each.pk: str(each) for each in TARGETS[kind](company).filter(pk__in=asked)
        }
        names[kind] = {pk: found.get(pk, GONE[kind]) for pk in asked}
    return names


@dataclass(frozen=True, slots=True)
class Belongings:
    """How many rows are deleted along with leads, and how many `shared_deals` only lose them."""

    deals: int
    tasks: int
    notes: int
    files: int
    merged: int  # leads that were merged into them
    shared_deals: int  # of other leads, with them as further people


def belongings_of(company: Company, leads: LeadQuerySet) -> Belongings:
    """What belongs to these leads of the company. Nine queries, each of which finds the leads again."""
    keys = leads.order_by().values("pk")
    # Not with NOT IN, which compares every pair if the leads don't fit into a statement's memory.
    are_deleted = Exists(leads.order_by().filter(pk=OuterRef("deal__lead")))
    shared = DealPerson.objects.for_company(company).order_by().filter(lead__in=keys)
    with statements_may_take(LONG_SECONDS):
        return Belongings(
            deals=Deal.objects.for_company(company).filter(lead__in=keys).count(),
            tasks=_on(Task.objects.for_company(company), keys),
            notes=_on(Note.objects.for_company(company), keys),
            files=_on(Attachment.objects.for_company(company), keys),
            merged=Lead.objects.for_company(company)
            .filter(merged_into__in=keys)
            .count(),
            shared_deals=shared.exclude(are_deleted).values("deal").distinct().count(),
        )


def _on(rows: QuerySet[Any], keys: QuerySet[Any]) -> int:
    """How many are on the leads themselves or their deals. Two queries: one with OR would compare every pair."""
    return (
        rows.filter(lead__in=keys, deal=None).count()
        + rows.filter(deal__lead__in=keys).count()
    )
