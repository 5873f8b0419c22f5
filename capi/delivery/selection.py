"""The next batch of a lane: due events of one rule, each checked again before anything is sent."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import starmap
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Expression, Model, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Greatest

from capi.delivery.lane import due_events, rules_by_age
from capi.linkedin import payload
from capi.linkedin.identity import email_sha256
from capi.linkedin.payload import Conversion
from capi.models import ConversionEvent, ConversionRule
from capi.models.choices import Reason, State
from capi.models.lookups import NO_IDS, IdList
from crm.models import CrmEvent, Lead
from postgresql.results import send_as_binary

logger = logging.getLogger(__name__)

# PostgreSQL can hold times that Python can't (-infinity, years before Christ), and one of them would fail its whole
# batch. Anything older than this is read as this, which is far too old to send in any case.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


class Row(NamedTuple):
    """A due event, with the columns of its lead that are checked or sent. No name, no phone."""

    pk: int
    event_id: str
    happened_at: datetime
    attempts: int
    reason: str
    last_attempt_id: int | None
    lead_id: int | None
    deal_id: int | None
    email: str | None  # None: the lead has opted out, or is gone
    amount: Decimal | None = None
    currency: str | None = None


def columns(*, with_value: bool) -> tuple[str | Expression, ...]:
    """The columns of a `Row`. The value is only read for rules that send it: reading it costs as much as all others."""
    of_event = (
        "pk",
        "event_id",
        Greatest("happened_at", Value(EARLIEST)),
        "attempts",
        "reason",
        "last_attempt_id",
        "lead_id",
        "deal_id",
    )
    email = Subquery(
        lead_of_event().filter(share_with_ad_platforms=True).values("email")[:1]
    )
    crm_event = CrmEvent._base_manager.filter(pk=OuterRef("crm_event_id")).order_by()
    found: list[Any] = [*of_event, email]
    if with_value:
        found.append(Subquery(crm_event.values("amount")[:1]))
        found.append(Subquery(crm_event.values("currency")[:1]))
    return tuple(found)


def lead_of_event() -> QuerySet[Lead]:
    """The lead of an event, for a subquery in a query over events.

    It is looked up by its key for each event. A join of thousands can be twice as fast. But while PostgreSQL believes
    that its tables are empty, as it does after an import, a join compares all events with all leads, which takes
    seconds or minutes.
    """
    return Lead._base_manager.filter(pk=OuterRef("lead_id")).order_by()


class Sendable(NamedTuple):
    """An event that passed every check, and the element that is sent for it."""

    row: Row
    conversion: Conversion


class NotSendable(NamedTuple):
    """The new state of an event that can't be sent, and why."""

    state: State
    reason: Reason
    message: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Due events of one rule: those that can be sent, and those that can't, by reason."""

    rule: ConversionRule
    sendable: Sequence[Sendable]
    unsendable: Mapping[NotSendable, Sequence[Row]]
    is_test: bool = False
    is_all: bool = False  # nothing else of the company was due when it was read
    # Of the connection, from before it was read: `recall.spend_unless_recalled` notices
    # any later one.
    recalls: int = 0


def next_test(company_id: int, *, recalls: int) -> Batch | None:
    """The company's oldest pending test event, as a batch of one. None without one."""
    tests = (
        ConversionEvent.objects.for_company(company_id)
        .pending()
        .filter(is_test=True)
        .order_by("pk")
    )
    event = tests.select_related("rule").defer("happened_at").first()
    if event is None:
        return None
    row = row_of(event)
    sendable = [Sendable(row, test_conversion(event.rule, row))]
    return Batch(event.rule, sendable, {}, is_test=True, recalls=recalls)


def test_conversion(rule: ConversionRule, row: Row) -> Conversion:
    """A test event as it is sent: about no real person, and without a value."""
    # RFC 2606 reserves .invalid: such a name never exists.
    digest = email_sha256(f"{row.event_id}@leadmachine.invalid")
    assert digest is not None
    return Conversion(rule.linkedin_id, row.happened_at, row.event_id, digest)


def next_batch(
    company_id: int,
    *,
    size: int,
    now: datetime,
    behind: IdList = NO_IDS,
    since: datetime | None = None,
) -> Batch | None:
    """Due events of the rule whose oldest has waited longest, at most `size` of them, oldest first. None without any.

    `behind` are the primary keys of events that are on the wire, which are left out. With `since`, only events that
    have become due since then.
    """
    first = rules_by_age(behind=behind, since=since).filter(company=company_id)[:2]
    rules = [rule for rule in first if rule.oldest is not None]
    if not rules:
        return None
    rule = rules[0]
    due = due_events(behind=behind, since=since).filter(rule=rule)
    gate = EligibilityCheck(rule, now=now)
    sendable: list[Sendable] = []
    unsendable: defaultdict[NotSendable, list[Row]] = defaultdict(list)
    rows = list(_rows(due.order_by("next_attempt_at", "pk")[:size], rule))
    for row in rows:
        checked = gate.check(row)
        if isinstance(checked, NotSendable):
            unsendable[checked].append(row)
        else:
            sendable.append(checked)
    is_all = since is None and len(rules) == 1 and len(rows) < size
    return Batch(rule, sendable, unsendable, is_all=is_all) if rows else None


def read_again(
    rule: ConversionRule, part: Sequence[Sendable], *, now: datetime
) -> list[Sendable]:
    """Those of the rule's events that may still be sent, as they are now. Call it while the lane's row is locked.

    Empty if the rule has changed since it was read, and for a test event: the events stay due for the next batch.
    """
    # What decides whether and how a rule's events are sent.
    unchanged = {
        name: getattr(rule, name)
        for name in (
            "crm_event",
            "linkedin_id",
            "send_value",
            "frequency",
            "is_active",
            "deleted_at",
        )
    }
    if not ConversionRule._base_manager.filter(pk=rule.pk, **unchanged).exists():
        return []
    pending = ConversionEvent.objects.pending().filter(
        pk__one_of=IdList(event.row.pk for event in part)
    )
    rows = {row.pk: row for row in _rows(pending, rule)}
    gate = EligibilityCheck(rule, now=now)
    checked = [gate.check(rows[event.row.pk]) for event in part if event.row.pk in rows]
    return [event for event in checked if isinstance(event, Sendable)]


def fitting_events(
    events: Sequence[Sendable], body_limit: int | None
) -> Sequence[Sendable]:
    """The first of these events, as many as fit into one request. The others stay due."""
    if body_limit is None:
        return events
    return events[
        : payload.fitting([event.conversion for event in events], limit=body_limit)
    ]


class EligibilityCheck:
    """The checks that an event of this rule must pass now. What is the same for all events is looked up once."""

    def __init__(self, rule: ConversionRule, *, now: datetime) -> None:
        self.linkedin_id = rule.linkedin_id
        self.sends_value = rule.sends_value
        self.is_about_deal = rule.is_about_deal
        self.closed = _closed(rule)
        self.now = now
        self.max_age = timedelta(days=settings.EVENT_MAX_AGE_DAYS)

    def check(self, row: Row) -> Sendable | NotSendable:
        """The event as it may be sent now, or why it can't be."""
        if row.reason == Reason.TAKEN_BACK:
            return NotSendable(State.CANCELLED, Reason.TAKEN_BACK)
        if self.closed is not None:
            return self.closed
        if row.lead_id is None:
            return NotSendable(State.CANCELLED, Reason.LEAD_DELETED)
        if row.deal_id is None and self.is_about_deal:
            return NotSendable(State.CANCELLED, Reason.DEAL_DELETED)
        if row.email is None:
            return NotSendable(State.SKIPPED, Reason.OPTED_OUT)
        # An event that was committed after `now` was read is newer, but not in the future.
        now = max(self.now, row.happened_at)
        if row.happened_at <= now - self.max_age:
            return NotSendable(State.EXPIRED, Reason.TOO_OLD)
        digest = email_sha256(row.email)
        if digest is None:
            return NotSendable(State.WAITING, Reason.NO_EMAIL)
        return self._buildable(row, digest, now)

    def conversion(self, row: Row, digest: str) -> Conversion:
        """The event as it is sent: rule, time, event id and hash, and a value where it has one."""
        amount = row.amount if self.sends_value and row.currency else None
        currency = row.currency or "" if amount is not None else ""
        return Conversion(
            self.linkedin_id, row.happened_at, row.event_id, digest, amount, currency
        )

    def _buildable(
        self, row: Row, digest: str, now: datetime
    ) -> Sendable | NotSendable:
        # One row that can't be built must not stop the other 4,999.
        try:
            built = self.conversion(row, digest)
            problem = payload.problem(built, now=now, max_age=self.max_age)
        except Exception:
            logger.exception(
                "Conversion event %s can't be turned into a request.",
                row.pk,
                extra={"event_ids": [row.pk]},
            )
            problem = (
                "LeadMachine could not build this event. The operator's log says why."
            )
        if problem:
            return NotSendable(State.REJECTED, Reason.DATA_REFUSED, problem)
        return Sendable(row, built)


def _closed(rule: ConversionRule) -> NotSendable | None:
    if rule.deleted_at is not None:
        return NotSendable(State.CANCELLED, Reason.RULE_DELETED)
    return (
        None if rule.is_active else NotSendable(State.CANCELLED, Reason.RULE_INACTIVE)
    )


def row_of(event: ConversionEvent) -> Row:
    """The `Row` of one event, as of now. Raises ValueError if the event is gone."""
    [row] = _rows(ConversionEvent.objects.filter(pk=event.pk), event.rule)
    return row


def _rows(events: "QuerySet[ConversionEvent]", rule: ConversionRule) -> Iterator[Row]:
    return starmap(Row, fetch(events, columns(with_value=rule.sends_value)))


def fetch(
    rows: QuerySet[Model], columns: tuple[str | Expression, ...]
) -> list[tuple[Any, ...]]:
    """Return the columns of these rows, as `values_list` does. An index must have the rows in the requested order.

    They come in binary format: psycopg reads 5,000 events in 3 ms (16 ms as text). Parallel workers are
    off: starting one takes longer (9 ms) than reading 5,000 rows by index. Sorting is off, too: the planner assumes
    that an event's state and rule are independent, expects few rows when 100,000 are due, and would read and sort all
    of them for each batch (285 ms; 9 ms by index).
    """
    values = rows.values_list(*columns)
    with transaction.atomic(), connection.cursor() as cursor:
        # Read in one process, and in the order of an index: see `fetch`.
        cursor.execute(
            "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL enable_sort = off"
        )
        send_as_binary(cursor)
        cursor.execute(*values.query.sql_with_params())
        fetched: list[tuple[Any, ...]] = cursor.fetchall()
    return fetched
