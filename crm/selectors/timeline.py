"""Timelines of leads and deals, newest first: CRM events, changes and what members have written down.

crm imports no other app. An app that knows the outcomes of CRM events (such as those at LinkedIn) appends a function
to `event_outcomes` at start-up.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Final, Literal, TypeVar
from uuid import UUID

from django.db.models import F, Model, Q, QuerySet, Window
from django.db.models.functions import RowNumber
from django.urls import reverse
from django.utils import timezone

from crm.models import (
    Change,
    Company,
    CrmEvent,
    CrmEventKind,
    Deal,
    Lead,
    Membership,
    Note,
)
from crm.models.bidi import without_bidi_controls
from crm.models.change import STEPS
from crm.models.lead import LeadQuerySet
from crm.models.roles import Action
from crm.models.validators import is_number
from crm.selectors.history import described
from crm.selectors.notes import ShownNote, shown_notes

ENTRIES_AT_MOST: Final = 50  # on a page
LEADS_CONSIDERED: Final = 500  # of an organisation
MICROSECOND: Final = timedelta(microseconds=1)
# What the news shows: the rows and what they refer to have ninety columns.
OF_AN_EVENT: Final = ("kind", "occurred_at", "taken_back_at", "public_id")
OF_A_CHANGE: Final = ("field", "old", "new", "is_undo", "caused", "changed_at")
OF_ITS_SUBJECT: Final = (
    *(f"actor__{name}" for name in ("first_name", "last_name", "email", "username")),
    *(f"lead__{name}" for name in ("first_name", "last_name", "email", "erased_at")),
    *("api_key__name", "deal__title"),
)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
DIGITS_OF_A_MOMENT: Final = 16  # microseconds since 1970, as far as the year 2286


@dataclass(frozen=True)
class EventOutcome:
    """The outcome of a CRM event in a few words, with an optional `url` for details.

    `label` says it in one or two words, for a list. `step` is what a user who may do `step_action` can do about it, at
    `step_url`. `is_nothing`: the event was not reported. `is_open`: the outcome is about to change by itself.
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


# Each function accepts the CRM events shown and returns their outcomes by CRM event id, in a fixed number of queries.
event_outcomes: Final[
    list[Callable[[Sequence[CrmEvent]], Mapping[int, list[EventOutcome]]]]
] = []


@dataclass(frozen=True)
class Outlook:
    """What the changes of one action will send to an ad platform: a sentence, and in how many seconds, if known."""

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
class UndoOffer:
    """Undoing an action, which changed this many leads and deals."""

    action: UUID
    rows: int

    @property
    def url(self) -> str:
        return reverse("undo", args=[self.action])

    @property
    def label(self) -> str:
        """What the button says. An action may have changed other leads, too."""
        return "Undo" if self.rows == 1 else f"Undo all {self.rows:,}"


@dataclass(frozen=True)
class TimelineEntry:
    """A CRM event with its outcomes and the change that caused it, a change alone, or what a member has written.

    `detail` is the change in words. `source` is the event, change or note, and says who did it and when. `undo` is
    there until the event is sent.
    """

    title: str
    detail: str
    tone: str
    source: CrmEvent | Change | Note
    outcomes: Sequence[EventOutcome] = ()
    written: ShownNote | None = None
    undo: UndoOffer | None = None

    @property
    def event(self) -> CrmEvent | None:
        return self.source if isinstance(self.source, CrmEvent) else None

    @property
    def waiting_action(self) -> UUID | None:
        """The action that caused the event, while the event waits for the end of the time to undo."""
        event = self.event
        if event is None or event.release_at is None:
            return None
        if event.release_at <= timezone.now():
            return None
        is_open = any(outcome.is_open for outcome in self.outcomes)
        return event.action if is_open else None

    @property
    def by(self) -> str:
        """The user or API key behind it; "" for the system."""
        if self.source.api_key:
            return f"a script ({without_bidi_controls(self.source.api_key.name)})"
        return str(self.source.actor or "")

    @property
    def occurred_at(self) -> datetime:
        if isinstance(self.source, CrmEvent):
            return self.source.occurred_at
        if isinstance(self.source, Change):
            return self.source.changed_at
        return self.source.created_at

    @property
    def deal(self) -> Deal | None:
        return self.source.deal

    @property
    def lead(self) -> Lead | None:
        return self.source.lead

    @property
    def kept_lead(self) -> Lead | None:
        """The lead that it is about, or the one into which that was merged."""
        return self.lead and (self.lead.merged_into or self.lead)

    @property
    def subject(self) -> Deal | Lead | None:
        """The deal or lead that it is about; None once that has been deleted."""
        return self.source.deal or self.source.lead


@dataclass(frozen=True)
class Timeline:
    """A page of entries. `older`: where the next page begins, as `before` in its URL; "" if there is none.

    On the first page, `outcome` is the one that sums up the whole, if there is one, and `is_open` is true while
    something about it is about to change by itself.
    """

    entries: Sequence[TimelineEntry]
    older: str = ""
    is_first: bool = True
    outcome: EventOutcome | None = None
    is_open: bool = False


def of_lead(
    lead: Lead, viewer: Membership | None = None, *, before: str = ""
) -> Timeline:
    """The timeline of a lead, of those that were merged into it, and of their deals.

    With the notes that this member may see.
    """
    pks = [lead.pk, *lead.merged_leads.values_list("pk", flat=True)]
    return _timeline(lead.company_id, Q(lead__in=pks), viewer, before)


def of_organisation(
    leads: LeadQuerySet, company: Company, viewer: Membership, *, before: str = ""
) -> Timeline:
    """The timeline of an organisation's newest leads, as for each of them, each entry with its lead."""
    pks = list(leads.order_by("-pk").values_list("pk", flat=True)[:LEADS_CONSIDERED])
    merged = Lead.objects.for_company(company).filter(merged_into__in=pks)
    is_theirs = Q(lead__in=[*pks, *merged.values_list("pk", flat=True)])
    return _timeline(company.pk, is_theirs, viewer, before, "lead__merged_into")


def of_deal(
    deal: Deal, viewer: Membership | None = None, *, before: str = ""
) -> Timeline:
    """The timeline of one deal, with the notes that this member may see."""
    return _timeline(deal.company_id, Q(deal=deal), viewer, before)


def news_of(
    membership: Membership, *, since: datetime, at_most: int
) -> Sequence[TimelineEntry]:
    """What others have done since then with the member's leads and deals, newest first. Without outcomes."""
    user, company_id = membership.user, membership.company_id
    theirs = Q(lead__owner=user) | Q(deal__owner=user)
    theirs &= Q(actor=None) | ~Q(actor=user)
    events = CrmEvent.objects.for_company(company_id).filter(
        theirs, occurred_at__gte=since
    )
    changes = Change.objects.for_company(company_id).filter(
        theirs, changed_at__gte=since
    )
    newest_events = _newest(events, "lead").only(*OF_AN_EVENT, *OF_ITS_SUBJECT)
    newest_changes = _newest(changes, "lead").only(*OF_A_CHANGE, *OF_ITS_SUBJECT)
    # Enough for that many entries: of twice as many changes, half have no event, or else that many events are newer.
    entries = _merged(
        list(newest_events[:at_most]),
        list(newest_changes[: 2 * at_most]),
        has_outcomes=False,
    )
    return _newest_first(entries)[:at_most]


def outcomes_of_leads(leads: Sequence[Lead]) -> Mapping[int, EventOutcome]:
    """The outcome of each lead and its deals, by lead id. A page takes as many queries as one lead."""
    return _outcomes("lead_id", [lead.pk for lead in leads])


def outcomes_of_deals(deals: Sequence[Deal]) -> Mapping[int, EventOutcome]:
    """The outcome of each deal, by deal id."""
    return _outcomes("deal_id", [deal.pk for deal in deals])


def _outcomes(field: str, pks: Sequence[int]) -> Mapping[int, EventOutcome]:
    by_age = Window(
        RowNumber(), partition_by=F(field), order_by=("-occurred_at", "-pk")
    )
    ranked = CrmEvent.objects.filter(**{f"{field}__in": pks}).annotate(rank=by_age)
    events = list(ranked.filter(rank__lte=EVENTS_CONSIDERED).order_by("rank"))
    found = _outcomes_of_events(events)
    by_row: defaultdict[int, list[Sequence[EventOutcome]]] = defaultdict(list)
    for event in events:
        by_row[getattr(event, field)].append(found[event.pk])
    outcomes = {pk: _outcome(by_event) for pk, by_event in by_row.items()}
    return {pk: outcome for pk, outcome in outcomes.items() if outcome is not None}


def _outcomes_of_events(
    events: Sequence[CrmEvent],
) -> defaultdict[int, list[EventOutcome]]:
    """All outcomes of each CRM event, by its id."""
    found: defaultdict[int, list[EventOutcome]] = defaultdict(list)
    for outcomes_of in event_outcomes:
        for pk, outcomes in outcomes_of(events).items():
            found[pk] += outcomes
    return found


def _outcome(outcomes: Sequence[Sequence[EventOutcome]]) -> EventOutcome | None:
    """The most important outcome of the newest event that has one. `outcomes` are by event, newest first.

    A plain one comes last: its event was not sent, perhaps because an earlier one had been.
    """
    for counts in (_is_important, _is_reported, bool):
        for of_event in outcomes:
            if any(map(counts, of_event)):
                return min(of_event, key=_priority)
    return None


def _priority(outcome: EventOutcome) -> int:
    return TONES_BY_PRIORITY.index(outcome.tone)


def _is_important(outcome: EventOutcome) -> bool:
    return outcome.tone != "plain"


def _is_reported(outcome: EventOutcome) -> bool:
    """False if the event was not reported."""
    return not outcome.is_nothing


def _timeline(
    company_id: int, of_row: Q, viewer: Membership | None, before: str, *shown: str
) -> Timeline:
    moment = _moment(before)
    events = CrmEvent.objects.for_company(company_id).filter(
        of_row, _until("occurred_at", moment)
    )
    changes = Change.objects.for_company(company_id).filter(
        of_row, _until("changed_at", moment)
    )
    notes = Note.objects.for_company(company_id).filter(
        of_row, _until("created_at", moment)
    )
    found = _merged(list(_newest(events, *shown)), list(_newest(changes, *shown)))
    if viewer is not None and viewer.may(Action.SEE_NOTES):
        written = shown_notes(_newest(notes, *shown), viewer)
        found += [
            TimelineEntry(str(each.note), "", "plain", each.note, written=each)
            for each in written
        ]
    page, older = _cut(_newest_first(found))
    page = _with_undo(page, company_id)
    if moment is not None:
        return Timeline(page, older, is_first=False)
    # From all the events that were read: many notes may have pushed them off the page.
    by_event = [entry.outcomes for entry in found if entry.event]
    is_open = any(outcome.is_open for outcomes in by_event for outcome in outcomes)
    return Timeline(page, older, outcome=_outcome(by_event), is_open=is_open)


def _with_undo(
    entries: Sequence[TimelineEntry], company_id: int
) -> Sequence[TimelineEntry]:
    """The entries, with an offer to undo for those that wait. Takes no query if none does."""
    waiting = (entry.waiting_action for entry in entries)
    actions = {action for action in waiting if action}
    if not actions:
        return entries
    counts = _rows_of_actions(company_id, actions)
    offers: dict[UUID | None, UndoOffer] = {
        action: UndoOffer(action, rows) for action, rows in counts.items()
    }
    return [replace(entry, undo=offers.get(entry.waiting_action)) for entry in entries]


def _rows_of_actions(company_id: int, actions: Collection[UUID]) -> Counter[UUID]:
    """How many leads and deals undoing each action puts back or removes (`crm.services.undo`).

    Not all of them have an event: someone may have been qualified before.
    """
    found: set[tuple[UUID | None, int | None, int | None]] = set()
    events = CrmEvent.objects.for_company(company_id).filter(taken_back_at=None)
    changes = Change.objects.for_company(company_id).filter(field__in=STEPS)
    for rows in (events, changes):
        of_actions = rows.filter(action__in=actions).order_by()
        for action, lead, deal in of_actions.values_list("action", "lead", "deal"):
            found.add((action, None if deal else lead, deal))
    return Counter(action for action, _, _ in found if action)


def _moment(text: str) -> datetime | None:
    """The time in a URL; None if there is none."""
    if not is_number(text, digits=DIGITS_OF_A_MOMENT):
        return None
    return EPOCH + int(text) * MICROSECOND


def _until(field: str, moment: datetime | None) -> Q:
    """Before that moment."""
    return Q() if moment is None else Q(**{f"{field}__lt": moment})


def _cut(entries: Sequence[TimelineEntry]) -> tuple[Sequence[TimelineEntry], str]:
    """The entries of one page, and where the next one begins.

    Entries of the same moment are on one page, because the next page begins before that moment.
    """
    if len(entries) <= ENTRIES_AT_MOST:
        return entries, ""
    last = entries[ENTRIES_AT_MOST - 1].occurred_at
    page = [entry for entry in entries if entry.occurred_at >= last]
    if len(page) == len(entries):
        return entries, ""
    return page, str((last - EPOCH) // MICROSECOND)


def _newest_first(entries: Sequence[TimelineEntry]) -> list[TimelineEntry]:
    return sorted(entries, key=attrgetter("occurred_at"), reverse=True)


def _merged(
    events: Sequence[CrmEvent], changes: Sequence[Change], *, has_outcomes: bool = True
) -> list[TimelineEntry]:
    """An entry for each event, with the change that caused it, and one for each other change."""
    words = described(changes)
    causes = {change.caused: words[change.pk] for change in changes if change.caused}
    outcomes = _outcomes_of_events(events if has_outcomes else ())
    entries = []
    for event in events:
        title, tone = _title_and_tone(event)
        detail = causes.get(event.public_id, "")
        entry = TimelineEntry(title, detail, tone, event, outcomes[event.pk])
        entries.append(entry)
    recorded = {event.public_id for event in events}
    for change in changes:
        if change.caused not in recorded:
            entries.append(TimelineEntry(words[change.pk], "", "plain", change))
    return entries


def _title_and_tone(event: CrmEvent) -> tuple[str, str]:
    title = event.get_kind_display()
    if event.taken_back_at:
        return f"{title} (taken back)", "plain"
    return title, TONES.get(CrmEventKind(event.kind), "info")


R = TypeVar("R", bound=Model)


def _newest(rows: QuerySet[R], *shown: str) -> QuerySet[R]:
    return rows.select_related("actor", "api_key", "deal", *shown)[
        : ENTRIES_AT_MOST + 1
    ]
