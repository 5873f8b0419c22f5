"""Timelines of leads and deals, newest first, with notes from other apps.

crm imports no other app. An app that has notes (such as what LinkedIn did with a CRM event) appends a function to
`timeline_notes` at start-up.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Final, Literal, TypeVar
from uuid import UUID

from django.db.models import F, Model, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from crm.models import Change, CrmEvent, CrmEventKind, Deal, Lead, Membership
from crm.models.bidi import without_bidi_controls
from crm.models.roles import Action
from crm.selectors.history import described

ENTRIES_AT_MOST: Final = 100


@dataclass(frozen=True)
class TimelineNote:
    """What became of a CRM event, in a few words, with an optional `url` for details.

    `label` says it in one or two words, for a list. `step` is what a user who may do `step_action` can do about it, at
    `step_url`. `is_nothing`: the event was not reported. `is_open`: that is about to change by itself.
    """

    text: str
    tone: Literal["good", "wait", "bad", "plain"] = "plain"
    url: str | None = None
    step: str = ""
    step_url: str = ""
    step_action: Action = Action.EDIT_LEADS
    is_nothing: bool = False
    is_open: bool = False
    label: str = ""


# Each function accepts the CRM events shown and returns notes by CRM event id, in a fixed number of queries.
timeline_notes: Final[list[Callable[[Sequence[CrmEvent]], Mapping[int, list[TimelineNote]]]]] = []


@dataclass(frozen=True)
class Outlook:
    """What an ad platform will be told of the changes of one action: a sentence, and in how many seconds, if known."""

    text: str
    seconds: int | None = None


# Each function accepts an action (`CrmEvent.action`) and its company's id, and returns what follows from it, or None.
outlooks: Final[list[Callable[[int, UUID], Outlook | None]]] = []

TONES: Final = {
    CrmEventKind.LEAD_QUALIFIED: "good",
    CrmEventKind.DEAL_WON: "good",
    CrmEventKind.DEAL_LOST: "bad",
}
EVENTS_CONSIDERED: Final = 10  # for the outcome of each lead or deal in a list
TONES_BY_PRIORITY: Final = ("bad", "wait", "good", "plain")


@dataclass(frozen=True)
class TimelineEntry:
    """A CRM event with its notes and the change that caused it, or a change alone.

    `detail` is the change in words. An entry has a `source` of either kind, for who and when.
    """

    title: str
    detail: str
    tone: str
    source: CrmEvent | Change
    notes: Sequence[TimelineNote] = ()

    @property
    def event(self) -> CrmEvent | None:
        return self.source if isinstance(self.source, CrmEvent) else None

    @property
    def by(self) -> str:
        """The user or API key behind it; "" for the system."""
        if self.source.api_key:
            return f"a script ({without_bidi_controls(self.source.api_key.name)})"
        return str(self.source.actor or "")

    @property
    def occurred_at(self) -> datetime:
        return self.source.occurred_at if isinstance(self.source, CrmEvent) else self.source.changed_at

    @property
    def deal(self) -> Deal | None:
        return self.source.deal

    @property
    def subject(self) -> Deal | Lead | None:
        """The deal or lead that it is about; None once that has been deleted."""
        return self.source.deal or self.source.lead


@dataclass(frozen=True)
class Timeline:
    """The newest entries. `is_cut` if older ones are not shown."""

    entries: Sequence[TimelineEntry]
    is_cut: bool

    @property
    def is_open(self) -> bool:
        """True while something about it is about to change by itself."""
        return any(note.is_open for entry in self.entries for note in entry.notes)

    @property
    def outcome(self) -> TimelineNote | None:
        """The note that sums up the timeline, or None."""
        return _outcome([entry.notes for entry in self.entries])


def of_lead(lead: Lead) -> Timeline:
    """The timeline of a lead, of those that were merged into it, and of their deals."""
    return _timeline(lead.company_id, Q(lead__in=[lead.pk, *lead.merged_leads.values_list("pk", flat=True)]))


def of_deal(deal: Deal) -> Timeline:
    """The timeline of one deal."""
    return _timeline(deal.company_id, Q(deal=deal))


def news_of(membership: Membership, *, since: datetime, at_most: int) -> Sequence[TimelineEntry]:
    """What others have done since then with the member's leads and deals, newest first."""
    user, company_id = membership.user, membership.company_id
    theirs = (Q(lead__owner=user) | Q(deal__owner=user)) & (Q(actor=None) | ~Q(actor=user))
    events = CrmEvent.objects.for_company(company_id).filter(theirs, occurred_at__gte=since)
    changes = Change.objects.for_company(company_id).filter(theirs, changed_at__gte=since)
    newest = list(_newest(events.select_related("lead"))), list(_newest(changes.select_related("lead")))
    return _merged(*newest)[:at_most]


def outcomes_of_leads(leads: Sequence[Lead]) -> Mapping[int, TimelineNote]:
    """The outcome of each lead and its deals, by lead id. A page takes as many queries as one lead."""
    return _outcomes("lead_id", [lead.pk for lead in leads])


def outcomes_of_deals(deals: Sequence[Deal]) -> Mapping[int, TimelineNote]:
    """The outcome of each deal, by deal id."""
    return _outcomes("deal_id", [deal.pk for deal in deals])


def _outcomes(field: str, pks: Sequence[int]) -> Mapping[int, TimelineNote]:
    by_age = Window(RowNumber(), partition_by=F(field), order_by=("-occurred_at", "-pk"))
    ranked = CrmEvent.objects.filter(**{f"{field}__in": pks}).annotate(rank=by_age)
    events = list(ranked.filter(rank__lte=EVENTS_CONSIDERED).order_by("rank"))
    notes_by_source = [notes_of(events) for notes_of in timeline_notes]
    notes: defaultdict[int, list[Sequence[TimelineNote]]] = defaultdict(list)
    for event in events:
        notes[getattr(event, field)].append([note for by_id in notes_by_source for note in by_id.get(event.pk, [])])
    return {pk: outcome for pk, by_event in notes.items() if (outcome := _outcome(by_event)) is not None}


def _outcome(notes: Sequence[Sequence[TimelineNote]]) -> TimelineNote | None:
    """The most important note of the newest event that has one. `notes` are by event, newest first.

    A plain note comes last: its event was not sent, perhaps because an earlier one had been.
    """
    for counts in (_is_important, _is_reported, bool):
        for event_notes in notes:
            if any(map(counts, event_notes)):
                return min(event_notes, key=lambda note: TONES_BY_PRIORITY.index(note.tone))
    return None


def _is_important(note: TimelineNote) -> bool:
    return note.tone != "plain"


def _is_reported(note: TimelineNote) -> bool:
    """False if the note says that its event was not reported."""
    return not note.is_nothing


def _timeline(company_id: int, of_row: Q) -> Timeline:
    events = list(_newest(CrmEvent.objects.for_company(company_id).filter(of_row)))
    changes = list(_newest(Change.objects.for_company(company_id).filter(of_row)))
    entries = _merged(events, changes)
    return Timeline(entries[:ENTRIES_AT_MOST], is_cut=len(entries) > ENTRIES_AT_MOST)


def _merged(events: Sequence[CrmEvent], changes: Sequence[Change]) -> list[TimelineEntry]:
    """An entry for each event, with the change that caused it, and one for each other change. Newest first."""
    words = described(changes)
    causes = {change.caused: words[change.pk] for change in changes if change.caused}
    recorded = {event.public_id for event in events}
    notes_by_source = [notes_of(events) for notes_of in timeline_notes]
    entries = [
        TimelineEntry(
            f"{event.get_kind_display()}{' (taken back)' if event.taken_back_at else ''}",
            causes.get(event.public_id, ""),
            "plain" if event.taken_back_at else TONES.get(CrmEventKind(event.kind), "info"),
            event,
            [note for by_id in notes_by_source for note in by_id.get(event.pk, [])],
        )
        for event in events
    ]
    alone = [change for change in changes if change.caused not in recorded]
    entries += [TimelineEntry(words[change.pk], "", "plain", change) for change in alone]
    return sorted(entries, key=attrgetter("occurred_at"), reverse=True)


R = TypeVar("R", bound=Model)


def _newest(rows: QuerySet[R]) -> QuerySet[R]:
    return rows.select_related("actor", "api_key", "deal")[: ENTRIES_AT_MOST + 1]
