"""Recent Events: a page of the log, newest first.

A page costs the same whether the log has a thousand rows or five million. It follows an index; for filters without one
it scans `STRETCH` rows and returns the id to continue from. Only the filter by week reads the whole week, through the
index of CRM events.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from django.db.models import F, Q

from capi.delivery.sent_hashes import packed_ids
from capi.models import (
    Attempt,
    Connection,
    ConversionEvent,
    ConversionRule,
    CrmEventName,
)
from capi.models import ConversionEventQuerySet as Events
from capi.models.choices import State
from capi.models.functions import WEEK, first_id_since, id_behind
from capi.selectors.explained_events import ExplainedEvent, all_explained
from capi.selectors.state_groups import STATES, StateFilter
from crm.models import Lead
from crm.models.company import start_of

ROWS_PER_PAGE: Final = 50
STRETCH: Final = 20_000
ROWS_AT_ONCE: Final = 2_000
NO_REASON: Final = "none"


@dataclass(frozen=True, slots=True)
class EventFilter:
    """A filter for the log. `before` and `after` are ids: they select the rows older, or newer, than that row.

    `since` and `until` limit when an event was recorded, `week` (its Monday, in the company's time zone) when its CRM
    event happened. NO_REASON selects events without one. `request` is the number of a request to LinkedIn. `search` is
    text to look for in the event's lead.
    """

    chip: str = StateFilter.ALL
    rule: ConversionRule | None = None
    crm_event: str = ""
    reason: str = ""
    since: datetime | None = None
    until: datetime | None = None
    week: date | None = None
    request: int | None = None
    search: str = ""
    before: int | None = None
    after: int | None = None

    @property
    def is_narrowed(self) -> bool:
        period = (self.since, self.until, self.week)
        return any(
            (
                self.chip,
                self.rule,
                self.crm_event,
                self.reason,
                *period,
                self.request,
                self.search,
            )
        )

    @property
    def is_first_page(self) -> bool:
        return self.before is None and self.after is None

    @property
    def is_oldest_first(self) -> bool:
        """True if rows are read from `after` on. They are shown newest first all the same."""
        return self.after is not None

    @property
    def is_live(self) -> bool:
        """True if new events may appear, so the page should refresh itself."""
        return self.is_first_page and self.week is None and self.request is None


@dataclass(frozen=True, slots=True)
class LogPage:
    """Rows, newest first. `older` and `newer` are the ids to continue from, if there are more rows.

    `look_on` is the id to continue from if the stretch ended before the page was full.
    """

    rows: Sequence[ExplainedEvent]
    older: int | None = None
    newer: int | None = None
    look_on: int | None = None


def log_page(
    company_id: int, wanted: EventFilter, connection: Connection | None
) -> LogPage:
    """One page of the company's log."""
    events = _in_order(company_id, wanted).filter(period(company_id, wanted))
    if wanted.is_oldest_first:
        return _newer_page(events, company_id, wanted, connection)
    if wanted.before is not None:
        events = events.filter(pk__lt=wanted.before)
    floor = _end_of_stretch(events, wanted)
    if floor:
        events = events.filter(pk__gte=floor)
    fetched = _fetch(
        company_id, narrowed(events, company_id, wanted, connection), wanted
    )
    rows = fetched[:ROWS_PER_PAGE]
    is_full = len(fetched) > ROWS_PER_PAGE
    return LogPage(
        all_explained(rows, connection),
        older=rows[-1].pk if is_full else None,
        newer=rows[0].pk if rows and not wanted.is_first_page else None,
        look_on=None if is_full else floor,
    )


def _newer_page(
    events: Events, company_id: int, wanted: EventFilter, connection: Connection | None
) -> LogPage:
    events = events.filter(pk__gt=wanted.after)
    ceiling = _end_of_stretch(events, wanted)
    if ceiling:
        events = events.filter(pk__lte=ceiling)
    fetched = _fetch(
        company_id, narrowed(events, company_id, wanted, connection), wanted
    )
    rows = fetched[:ROWS_PER_PAGE][::-1]
    newer = rows[0].pk if len(fetched) > ROWS_PER_PAGE else ceiling
    return LogPage(
        all_explained(rows, connection),
        older=rows[-1].pk if rows else None,
        newer=newer,
    )


def matching(
    company_id: int, wanted: EventFilter, connection: Connection | None
) -> Events:
    """All matching events, whatever the page."""
    events = ConversionEvent.objects.for_company(company_id).filter(
        period(company_id, wanted)
    )
    return in_state(narrowed(events, company_id, wanted, connection), wanted.chip)


def all_rows(
    company_id: int, wanted: EventFilter, connection: Connection | None
) -> Iterator[ExplainedEvent]:
    """All matching events, newest first, in one query per ROWS_AT_ONCE of them."""
    events = (
        matching(company_id, wanted, connection)
        .select_related("rule", "crm_event")
        .order_by("-pk")
    )
    older_rows = Q()
    while rows := list(events.filter(older_rows)[:ROWS_AT_ONCE]):
        yield from all_explained(rows, connection)
        older_rows = Q(pk__lt=rows[-1].pk)


def period(company_id: int, wanted: EventFilter) -> Q:
    """True for events of the period or request."""
    found = Q()
    if wanted.request is not None:
        found &= Q(pk__one_of=_events_in_request(company_id, wanted.request))
    if wanted.since is not None:
        found &= Q(pk__gte=first_id_since(company_id, wanted.since))
    if wanted.until is not None:
        found &= Q(pk__lt=first_id_since(company_id, wanted.until))
    if wanted.week is not None:
        found &= Q(
            crm_event__company=company_id,  # its index begins with company and kind
            crm_event__kind__in=[wanted.rule.crm_event]
            if wanted.rule
            else CrmEventName.values,
            crm_event__occurred_at__gte=start_of(wanted.week),
            crm_event__occurred_at__lt=start_of(wanted.week + WEEK),
        )
    return found


def _events_in_request(company_id: int, request: int) -> list[int]:
    # From the hashes stored with the request: an index from requests to events would slow down each settled batch.
    blocks = (
        Attempt.objects.for_company(company_id)
        .filter(pk=request)
        .values_list("sent_hashes", flat=True)
    )
    return [pk for block in blocks for pk in packed_ids(bytes(block))]


def narrowed(
    events: Events, company_id: int, wanted: EventFilter, connection: Connection | None
) -> Events:
    """The events that match the other filters. The caller still has to filter by `in_state`, or state by state."""
    events = _of_chip(events, wanted.chip, connection)
    if wanted.crm_event:
        events = events.filter(rule__crm_event=wanted.crm_event)
    if wanted.rule:
        events = events.filter(rule=wanted.rule)
    if wanted.reason:
        events = events.filter(
            reason="" if wanted.reason == NO_REASON else wanted.reason
        )
    if wanted.search:
        events = events.filter(
            lead__in=Lead.objects.for_company(company_id).search(wanted.search)
        )
    return events


def _of_chip(events: Events, chip: str, connection: Connection | None) -> Events:
    if chip == StateFilter.SENT:
        return events.counted().filter(state=State.ACCEPTED)
    if chip == StateFilter.ON_HOLD:
        return events.on_hold(connection)
    if chip == StateFilter.QUEUED:
        return events.queued(connection)
    return events.counted() if chip in STATES else events


def is_searched(wanted: EventFilter) -> bool:
    """True if no index leads to the rows, so other rows have to be read too."""
    by_field = bool(wanted.rule or wanted.crm_event or wanted.reason or wanted.search)
    return by_field or wanted.chip == StateFilter.SENT


def in_state(events: Events, chip: str) -> Events:
    """The events in this state, as far as an index leads to them: all for SENT, all pending ones for ON_HOLD."""
    if chip == StateFilter.TEST:
        return events.filter(is_test=True)
    return events.filter(state__in=STATES[chip]) if chip in STATES else events


def _in_order(company_id: int, wanted: EventFilter) -> Events:
    """The company's events in its own order, so that they are not looked for among those of other companies."""
    events = ConversionEvent.objects
    if wanted.is_oldest_first:
        return events.oldest_of(company_id)
    return events.newest_of(company_id)


def _end_of_stretch(events: Events, wanted: EventFilter) -> int | None:
    """The last id to scan, if no index leads to the rows. Otherwise None."""
    if wanted.week is not None or wanted.request is not None:
        return None
    if not is_searched(wanted):
        return None
    if wanted.chip not in STATES:
        return id_behind(in_state(events, wanted.chip), STRETCH)
    ends = [
        id_behind(events.filter(state=state), STRETCH) for state in STATES[wanted.chip]
    ]
    nearest = min if wanted.is_oldest_first else max
    return nearest((end for end in ends if end is not None), default=None)


def _fetch(
    company_id: int, events: Events, wanted: EventFilter
) -> list[ConversionEvent]:
    """Up to one row more than a page, in the order of `events`."""
    if wanted.chip not in STATES:
        return _first(company_id, in_state(events, wanted.chip), wanted)
    # State by state: the index is in id order only within a state.
    by_state = [
        _first(company_id, events.filter(state=state), wanted)
        for state in STATES[wanted.chip]
    ]
    merged = [row for rows in by_state for row in rows]
    merged.sort(key=lambda row: row.pk, reverse=not wanted.is_oldest_first)
    return merged[: ROWS_PER_PAGE + 1]


def _first(
    company_id: int, events: Events, wanted: EventFilter
) -> list[ConversionEvent]:
    if wanted.week is not None:
        # No index has this sum: ordering by it stops PostgreSQL from scanning back from the newest event to an old
        # week. Leads and rules are read only for the rows of the page.
        by_sum = (F("pk") + 0).asc() if wanted.is_oldest_first else (F("pk") + 0).desc()
        page = events.order_by(by_sum).values("pk")[: ROWS_PER_PAGE + 1]
        events = _in_order(company_id, wanted).filter(pk__in=page)
    return list(events.select_related("rule", "lead", "crm_event")[: ROWS_PER_PAGE + 1])
