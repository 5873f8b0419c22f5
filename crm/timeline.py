"""What happened to a lead or a deal, newest first, with what others have to say about each thing.

crm knows nobody by name: whoever has something to tell (such as what became of a CRM event at LinkedIn) adds a
function to `timeline_notes` when the application starts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from django.db.models import QuerySet

from crm.models import CrmEvent, CrmEventKind, Deal, Lead

ENTRIES_AT_MOST: Final = 100


@dataclass(frozen=True)
class TimelineNote:
    """What became of a CRM event, in a few words. `url` leads to more, where there is more.

    `step` is what whoever may edit leads can do about it, at `step_url`.
    """

    text: str
    tone: Literal["good", "wait", "bad", "plain"] = "plain"
    url: str | None = None
    step: str = ""
    step_url: str = ""


# Each gets the CRM events shown and answers with notes by CRM event id, in a fixed number of queries.
timeline_notes: Final[list[Callable[[Sequence[CrmEvent]], Mapping[int, list[TimelineNote]]]]] = []

TONES: Final = {
    CrmEventKind.LEAD_QUALIFIED: "good",
    CrmEventKind.DEAL_WON: "good",
    CrmEventKind.DEAL_LOST: "bad",
}


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


def of_lead(lead: Lead) -> Timeline:
    """The timeline of a lead and of its deals."""
    return _timeline(CrmEvent.objects.for_company(lead.company_id).filter(lead=lead))


def of_deal(deal: Deal) -> Timeline:
    """The timeline of one deal."""
    return _timeline(CrmEvent.objects.for_company(deal.company_id).filter(deal=deal))


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
