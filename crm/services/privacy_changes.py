"""Repeats what the privacy log says, on a restored backup that has brought it back.

Nothing here ever makes more of a person be sent: who opted in again after the backup stays as they are in it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import Model, Q
from django.db.models.functions import Now

from crm.models import CrmEvent, Deal, Lead
from crm.models.privacy_log import PrivacyChange, Subject, made_at
from crm.models.tracking.recorder import take_back
from crm.models.tracking.snapshots import chunks
from crm.services import editing
from crm.services.erasure import erase_lead


class NotRepeated(Exception):
    """Why a change could not be repeated, and what to do, for the operator."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """How a change is repeated: for the rows of `model` that meet `is_left`, of one company and at most CHUNK.

    `made_at` is the column with the time that the log has. `do` may raise NotRepeated, once it has done what it can.
    """

    change: PrivacyChange
    label: str
    model: type[Model]
    made_at: str
    is_left: Q
    do: Callable[[Sequence[Any]], None]


@dataclass(slots=True)
class Outcome:
    """How many rows a change was repeated for, or would be, and why not for others."""

    label: str
    count: int = 0
    problems: list[str] = field(default_factory=list)


def repeat(
    changes: Mapping[Subject, PrivacyChange], how: Repeat, *, dry_run: bool
) -> Outcome:
    """Repeat the changes of this kind where that is left to do. With `dry_run`, only count."""
    outcome = Outcome(how.label)
    subjects = [subject for subject, change in changes.items() if change == how.change]
    for rows in _left(subjects, how):
        outcome.count += len(rows)
        try:
            if not dry_run:
                how.do(rows)
        except NotRepeated as problem:
            outcome.problems.append(str(problem))
    return outcome


def _left(subjects: Sequence[Subject], how: Repeat) -> Iterator[Sequence[Any]]:
    """The rows that are back, in chunks of one company. A later row may have the number of one in the log."""
    by_company: defaultdict[int, dict[int, datetime]] = defaultdict(dict)
    for subject in subjects:
        by_company[subject.company_id][subject.pk] = subject.made_at
    for company_id, times in by_company.items():
        for pks in chunks(sorted(times)):
            found = how.model._base_manager.filter(
                how.is_left, company=company_id, pk__in=pks
            ).order_by("pk")
            rows = [
                row
                for row in found
                if made_at(getattr(row, how.made_at)) == times[row.pk]
            ]
            if rows:
                yield rows


MERGED: Final = (
    "Lead {lead.pk} of company {lead.company_id} was NOT {done}: in this backup it is merged into lead {kept}, which "
    "holds most of this person's data. Lead {kept} should be {done}, or undo the merge and run this again."
)


def _erase(leads: Sequence[Lead]) -> None:
    _for_each_person(leads, lambda lead: erase_lead(lead=lead), done="erased")


def _delete_leads(leads: Sequence[Lead]) -> None:
    _for_each_person(leads, lambda lead: editing.delete(row=lead), done="deleted")


def _for_each_person(
    leads: Sequence[Lead], do: Callable[[Lead], object], *, done: str
) -> None:
    """Call `do` for these leads. It includes those merged into them; raises NotRepeated for any merged into others."""
    for lead in leads:
        if lead.merged_into_id is None:
            do(lead)
    pks = {lead.pk for lead in leads}
    others = [
        lead
        for lead in leads
        if lead.merged_into_id is not None and lead.merged_into_id not in pks
    ]
    if others:
        raise NotRepeated(
            "\n".join(
                MERGED.format(lead=lead, kept=lead.merged_into_id, done=done)
                for lead in others
            )
        )


def _delete_deals(deals: Sequence[Deal]) -> None:
    for deal in deals:
        editing.delete(row=deal)


def _opt_out(leads: Sequence[Lead]) -> None:
    """Opt these people out. An opt-out is the person's: also the lead that one of these is merged into."""
    people = {
        pk for lead in leads for pk in (lead.pk, lead.merged_into_id) if pk is not None
    }
    shared = Lead.objects.filter(pk__in=people, share_with_ad_platforms=True)
    shared.update(share_with_ad_platforms=False, updated_at=Now())


def _take_back(events: Sequence[CrmEvent]) -> None:
    with transaction.atomic():
        take_back(
            CrmEvent.objects.filter(pk__in=[event.pk for event in events]),
            sender=CrmEvent,
        )


IN_CRM: Final = (
    Repeat(
        PrivacyChange.ERASED,
        "people erased",
        Lead,
        "created_at",
        Q(erased_at=None),
        _erase,
    ),
    Repeat(
        PrivacyChange.DELETED_DEALS,
        "deals deleted",
        Deal,
        "created_at",
        Q(),
        _delete_deals,
    ),
    Repeat(
        PrivacyChange.DELETED_LEADS,
        "leads deleted",
        Lead,
        "created_at",
        Q(),
        _delete_leads,
    ),
    Repeat(
        PrivacyChange.OPTED_OUT,
        "people opted out",
        Lead,
        "created_at",
        Q(share_with_ad_platforms=True),
        _opt_out,
    ),
    Repeat(
        PrivacyChange.TAKEN_BACK,
        "changes taken back",
        CrmEvent,
        "occurred_at",
        Q(taken_back_at=None),
        _take_back,
    ),
)
