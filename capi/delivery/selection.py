"""The next batch of a lane: due events of one rule, each checked again before anything is sent."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import starmap
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Expression, F, Model, QuerySet, Value
from django.db.models.functions import Greatest

from capi.delivery.lane import due_events, rules_with_due_events
from capi.delivery.planning_sql import beside
from capi.linkedin import payload
from capi.linkedin.identity import email_sha256
from capi.linkedin.payload import Conversion
from capi.models import ConversionEvent, ConversionRule
from capi.models.choices import Reason, State
from capi.models.lookups import NO_IDS, IdList

logger = logging.getLogger(__name__)

# PostgreSQL can hold times that Python can't (-infinity, years before Christ), and one of them would take its whole
# batch with it. Whatever is older than this is read as this: far too old all the same.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
TEST_ADDRESS = "{event_id}@leadmachine.invalid"  # RFC 2606 keeps .invalid for names that nobody has


class Row(NamedTuple):
    """A due event with what is read beside it. No name, no phone: only what may decide or be sent."""

    pk: int
    event_id: str
    happened_at: datetime
    attempts: int
    last_attempt_id: int | None
    lead_id: int | None
    deal_id: int | None
    email: str | None
    share: bool | None
    amount: Decimal | None = None
    currency: str | None = None


def columns(*, with_value: bool) -> tuple[str | Expression, ...]:
    """The columns of a `Row`. The value is read for rules alone that send it: it costs as much as all the others."""
    of_event = (
        "pk", "event_id", Greatest("happened_at", Value(EARLIEST)), "attempts", "last_attempt_id", "lead_id", "deal_id",
    )  # fmt: skip
    of_lead = beside("lead", "email"), beside("lead", "share_with_ad_platforms")
    value = (beside("crm_event", "amount"), beside("crm_event", "currency")) if with_value else ()
    return (*of_event, *of_lead, *value)


@dataclass(frozen=True, slots=True)
class Sendable:
    """An event that passed every check, as it will stand in the request."""

    row: Row
    conversion: Conversion


class NotSendable(NamedTuple):
    """What becomes of an event without sending it."""

    state: State
    reason: Reason
    message: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Due events of one rule: what can be sent, and what can't and why."""

    rule: ConversionRule
    sendable: Sequence[Sendable]
    unsendable: Mapping[NotSendable, Sequence[Row]]
    is_test: bool = False


def next_test(company_id: int) -> Batch | None:
    """The company's oldest waiting test event, as a batch of its own."""
    tests = ConversionEvent.objects.for_company(company_id).pending().filter(is_test=True).order_by("pk")
    event = tests.select_related("rule").defer("happened_at").first()
    if event is None:
        return None
    row = row_of(event)
    return Batch(event.rule, [Sendable(row, test_conversion(event.rule, row))], {}, is_test=True)


def test_conversion(rule: ConversionRule, row: Row) -> Conversion:
    """A test event as LinkedIn will see it: about nobody, and worth nothing."""
    digest = email_sha256(TEST_ADDRESS.format(event_id=row.event_id))
    assert digest is not None
    return Conversion(rule.linkedin_id, row.happened_at, row.event_id, digest)


def next_batch(
    company_id: int, *, size: int, now: datetime, behind: IdList = NO_IDS, since: datetime | None = None
) -> Batch | None:
    """Due events of the rule whose oldest has waited longest, at most `size` of them, oldest first.

    `behind` are the primary keys of events that are on the wire: what comes after them is asked for. With `since`,
    only what has become due since then.
    """
    rules = rules_with_due_events(behind=behind, since=since)
    rule = rules.filter(company=company_id).order_by(F("oldest")).first()
    if rule is None:
        return None
    due = due_events(behind=behind, since=since).filter(rule=rule)
    gate = EligibilityCheck(rule, now=now)
    sendable: list[Sendable] = []
    unsendable: defaultdict[NotSendable, list[Row]] = defaultdict(list)
    for row in _rows(due.order_by("next_attempt_at", "pk")[:size], rule):
        checked = gate.check(row)
        if isinstance(checked, NotSendable):
            unsendable[checked].append(row)
        else:
            sendable.append(checked)
    return Batch(rule, sendable, unsendable) if sendable or unsendable else None


class EligibilityCheck:
    """What an event of this rule must pass at this moment. What is the same for all of them is looked up once."""

    def __init__(self, rule: ConversionRule, *, now: datetime) -> None:
        self.linkedin_id = rule.linkedin_id
        self.sends_value = rule.sends_value
        self.is_about_deal = rule.is_about_deal
        self.closed = _closed(rule)
        self.now = now
        self.max_age = timedelta(days=settings.EVENT_MAX_AGE_DAYS)

    def check(self, row: Row) -> Sendable | NotSendable:
        """Whether the event may be sent as things stand, and as what."""
        if self.closed is not None:
            return self.closed
        if row.lead_id is None:
            return NotSendable(State.CANCELLED, Reason.LEAD_DELETED)
        if row.deal_id is None and self.is_about_deal:
            return NotSendable(State.CANCELLED, Reason.DEAL_DELETED)
        if not row.share:
            return NotSendable(State.SKIPPED, Reason.OPTED_OUT)
        # An event that was committed after `now` was read is newer than it, and not in the future.
        now = max(self.now, row.happened_at)
        if row.happened_at <= now - self.max_age:
            return NotSendable(State.EXPIRED, Reason.TOO_OLD)
        digest = email_sha256(row.email)
        if digest is None:
            return NotSendable(State.WAITING, Reason.NO_EMAIL)
        return self._buildable(row, digest, now)

    def conversion(self, row: Row, digest: str) -> Conversion:
        """The event as LinkedIn will see it: rule, time, event id and hash, and a value where it has one."""
        amount = row.amount if self.sends_value and row.currency else None
        currency = row.currency or "" if amount is not None else ""
        return Conversion(self.linkedin_id, row.happened_at, row.event_id, digest, amount, currency)

    def _buildable(self, row: Row, digest: str, now: datetime) -> Sendable | NotSendable:
        # One row that can't be built must not take the other 4,999 with it.
        try:
            built = self.conversion(row, digest)
            problem = payload.problem(built, now=now, max_age=self.max_age)
        except Exception:
            logger.exception("Conversion event %s can't be turned into a request.", row.pk)
            problem = "LeadMachine could not build this event. The operator's log says why."
        return NotSendable(State.REJECTED, Reason.DATA_REFUSED, problem) if problem else Sendable(row, built)


def _closed(rule: ConversionRule) -> NotSendable | None:
    if rule.deleted_at is not None:
        return NotSendable(State.CANCELLED, Reason.RULE_DELETED)
    return None if rule.is_active else NotSendable(State.CANCELLED, Reason.RULE_INACTIVE)


def row_of(event: ConversionEvent) -> Row:
    """What is read of one event and beside it, as of now. Raises ValueError if the event is gone."""
    [row] = _rows(ConversionEvent.objects.filter(pk=event.pk), event.rule)
    return row


def _rows(events: "QuerySet[ConversionEvent]", rule: ConversionRule) -> Iterator[Row]:
    return starmap(Row, fetch(events, columns(with_value=rule.sends_value)))


# --- Reading thousands of rows at once.

# By one process, and in the order of an index: see `fetch`.
AS_THEY_LIE: Final = "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL enable_sort = off"


def fetch(rows: QuerySet[Model], columns: tuple[str | Expression, ...]) -> list[tuple[Any, ...]]:
    """The columns of these rows, as `values_list` gives them. Let an index have them in their order.

    PostgreSQL is asked for its binary format: psycopg reads 5,000 events of it in 3 ms, where text takes it 16. It is
    asked to read alone: to start a process that helps takes it longer (9 ms) than to read 5,000 by their index. And it
    is asked not to sort: it takes it that how many are pending has nothing to do with how many are a rule's, counts on
    few where 100,000 are due, and then reads and sorts all of them for each batch (285 ms; by the index it takes 9).
    """
    values = rows.values_list(*columns)
    if connection.vendor != "postgresql":
        return list(values)
    from psycopg.pq import Format

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(AS_THEY_LIE)
        cursor.cursor.format = Format.BINARY
        cursor.execute(*values.query.sql_with_params())
        found: list[tuple[Any, ...]] = cursor.fetchall()
    return found
