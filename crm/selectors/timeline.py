"""What happened to a lead or a deal, newest first, with what others have to say about each thing.

crm knows nobody by name: whoever has something to tell (such as what became of a CRM event at LinkedIn) adds a
function to `timeline_notes` when the application starts.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber

from crm.models import CrmEvent, CrmEventKind, Deal, Lead

ENTRIES_AT_MOST: Final = 100


@dataclass(frozen=True)
class TimelineNote:
    """What became of a CRM event, in a few words. `url` leads to more, where there is more.

    `step` is what whoever may edit leads can do about it, at `step_url`. `is_nothing`: nothing was made of the event.
    """

    text: str
    tone: Literal["good", "wait", "bad", "plain"] = "plain"
    url: str | None = None
    step: str = ""
    step_url: str = ""
    is_nothing: bool = False


# Each gets the CRM events shown and answers with notes by CRM event id, in a fixed number of queries.
timeline_notes: Final[list[Callable[[Sequence[CrmEvent]], Mapping[int, list[TimelineNote]]]]] = []

TONES: Final = {
    CrmEventKind.LEAD_QUALIFIED: "good",
    CrmEventKind.DEAL_WON: "good",
    CrmEventKind.DEAL_LOST: "bad",
}


EVENTS_LOOKED_AT: Final = 10  # of each lead or deal in a list
LOUDEST_FIRST: Final = ("bad", "wait", "good", "plain")


@dataclass(frozen=True)
class TimelineEntry:
    """One thing that happened, and when."""

    event: CrmEvent
    tone: str
    notes: Sequence[TimelineNote]

    @property
    def title(self) -> str:
        return self.event.get_kind_display()

    @property
    def by(self) -> str:
        """The person, or the script's key, behind it; "" for what the system does by itself."""
        if self.event.api_key:
            return f"a script ({self.event.api_key.name})"
        return str(self.event.actor or "")

    @property
    def occurred_at(self) -> datetime:
        return self.event.occurred_at


@dataclass(frozen=True)
class Timeline:
    """The newest entries; `is_cut` where there are older ones that are not shown."""

    entries: Sequence[TimelineEntry]
    is_cut: bool

    @property
    def outcome(self) -> TimelineNote | None:
        """What it has come to, in a sentence."""
        return _outcome([entry.notes for entry in self.entries])


def of_lead(lead: Lead) -> Timeline:
    """The timeline of a lead and of its deals."""
    return _timeline(CrmEvent.objects.for_company(lead.company_id).filter(lead=lead))


def of_deal(deal: Deal) -> Timeline:
    """The timeline of one deal."""
    return _timeline(CrmEvent.objects.for_company(deal.company_id).filter(deal=deal))


def outcomes_of_leads(leads: Sequence[Lead]) -> Mapping[int, TimelineNote]:
    """By lead, what it has come to with the lead and its deals. As many queries for a page of them as for one."""
    return _outcomes("lead_id", [lead.pk for lead in leads])


def outcomes_of_deals(deals: Sequence[Deal]) -> Mapping[int, TimelineNote]:
    """By deal, what it has come to."""
    return _outcomes("deal_id", [deal.pk for deal in deals])


def _outcomes(whose: str, pks: Sequence[int]) -> Mapping[int, TimelineNote]:
    by_age = Window(RowNumber(), partition_by=F(whose), order_by=("-occurred_at", "-pk"))
    ranked = CrmEvent.objects.filter(**{f"{whose}__in": pks}).annotate(rank=by_age)
    events = list(ranked.filter(rank__lte=EVENTS_LOOKED_AT).order_by("rank"))
    told = [tell(events) for tell in timeline_notes]
    notes: defaultdict[int, list[Sequence[TimelineNote]]] = defaultdict(list)
    for event in events:
        notes[getattr(event, whose)].append([note for by_id in told for note in by_id.get(event.pk, [])])
    return {pk: outcome for pk, of_events in notes.items() if (outcome := _outcome(of_events)) is not None}


def _outcome(notes: Sequence[Sequence[TimelineNote]]) -> TimelineNote | None:
    """The loudest note of the newest event that has one. A plain note is for want of any other: it tells of an event
    that was left alone, perhaps because an earlier one had gone out. `notes` are by event, the newest first.
    """
    for matters in (_is_loud, _is_known, bool):
        for of_event in notes:
            if any(map(matters, of_event)):
                return min(of_event, key=lambda note: LOUDEST_FIRST.index(note.tone))
    return None


def _is_loud(note: TimelineNote) -> bool:
    return note.tone != "plain"


def _is_known(note: TimelineNote) -> bool:
    """False for a note that says that nothing was made of the event."""
    return not note.is_nothing


def _timeline(rows: QuerySet[CrmEvent]) -> Timeline:
    events = list(rows.select_related("actor", "api_key", "deal")[: ENTRIES_AT_MOST + 1])
    shown = events[:ENTRIES_AT_MOST]
    told = [tell(shown) for tell in timeline_notes]
    entries = [
        TimelineEntry(
            event, TONES.get(CrmEventKind(event.kind), "info"), [n for by_id in told for n in by_id.get(event.pk, [])]
        )
        for event in shown
    ]
    return Timeline(entries, is_cut=len(events) > ENTRIES_AT_MOST)
