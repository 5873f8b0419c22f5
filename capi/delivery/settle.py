"""Writes down LinkedIn's answer, even if the database is unavailable at that very moment.

What LinkedIn has accepted can't be queried later: without the result, the whole request would be sent a second time.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from django.conf import settings
from django.db import (
    InterfaceError,
    InternalError,
    OperationalError,
    connection,
    transaction,
)
from django.db.models import F

from capi.delivery import beats, duplicates, lane, pauses, planning, recall
from capi.delivery.bisection import Refusal
from capi.delivery.lane import NO_CHANGES, LaneUpdate, Lease
from capi.delivery.selection import Batch, NotSendable, Row, Sendable
from capi.delivery.sent_hashes import keep_only_tied, pack_hashes
from capi.linkedin import failpoints
from capi.linkedin.parsing import ApiMessage
from capi.models import (
    Attempt,
    Connection,
    ConversionEvent,
    ConversionRule,
    CountedPerson,
    EarlierAttempt,
)
from capi.models.choices import OPEN_STATES, Reason, State
from capi.models.event import columns_in
from capi.models.lookups import IdList

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 0.25
# Reasons that end one event, and not all other events of its lead, deal or rule as well.
PASSING_ON: Final = (Reason.TOO_OLD, Reason.TAKEN_BACK, Reason.DATA_REFUSED)
# InternalError: a database that is read-only for a while (a standby that is not promoted yet), or that has ended our
# transaction because this process was frozen in it.
PASSING = (OperationalError, InterfaceError, InternalError)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Request:
    """One request that was made, as the log keeps it. `http_status` is None if no complete answer came."""

    rule: ConversionRule
    api_version: str
    events: Sequence[Sendable]
    is_test: bool
    started_at: datetime
    duration_ms: int
    http_status: int | None
    api_message: ApiMessage
    body_bytes: int
    token_version: int
    recalls: int  # of the connection, when these events were last checked
    linkedin_id: str = ""  # LinkedIn's own id of the request, where the answer has one
    # The people who were first counted for this request.
    counted: Sequence[CountedPerson] = ()


@dataclass(frozen=True, slots=True)
class EventUpdate:
    """The new state of some events of a request."""

    events: Sequence[Sendable]
    state: State
    reason: Reason = Reason.NONE
    message: str = ""
    counts_attempt: bool = True
    # For events that stay pending; None leaves it unchanged.
    next_attempt_at: datetime | None = None
    is_unknown: bool = False  # LinkedIn may have them
    # Of the element, if a batch's answer has one for each; None: the request's.
    http_status: int | None = None

    def columns(self, attempt: Attempt) -> dict[str, Any]:
        """The columns and their values, for an UPDATE."""
        changes: dict[str, Any] = {
            "state": self.state,
            "reason": self.reason,
            "message": self.message,
            "http_status": self.http_status or attempt.http_status,
            "last_attempt": attempt,
            **columns_in(self.state),
        }
        if self.is_unknown:
            changes["may_have_arrived"] = True
        if self.counts_attempt:
            changes["attempts"] = F("attempts") + 1
        if self.next_attempt_at is not None:
            changes["next_attempt_at"] = self.next_attempt_at
        return changes


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """Everything that one request changes, written in one transaction."""

    request: Request
    updates: Sequence[EventUpdate] = ()
    lane: LaneUpdate | None = None
    pause_rule: Reason | None = None
    pause_connection: Reason | None = None


AppliedUpdate = tuple[Attempt, EventUpdate]


def until_written(write: Callable[[bool], T]) -> T:
    """Return what `write` returns, and retry it on new connections for as long as a lease lasts.

    The argument of `write` is True on a retry: the commit that failed may have gone through all the same. If the last
    retry fails, its error is raised. Errors that aren't about the connection, such as LeaseLost, are raised at once.
    """
    ends_at = time.monotonic() + settings.LEASE_SECONDS
    try:
        return write(False)
    except PASSING as error:
        logger.warning(
            "The database is unavailable (%s); retrying to write a result.",
            type(error).__name__,
        )
    while True:
        connection.close()
        beats.beat()
        time.sleep(PAUSE_SECONDS)
        try:
            return write(True)
        except PASSING:
            if time.monotonic() >= ends_at:
                raise


@transaction.atomic
def write(lease: Lease, outcome: RequestOutcome, *, again: bool = False) -> Attempt:
    """Write the outcome in one short transaction. Raises LeaseLost, and then nothing is written.

    With `again`, an earlier try failed, perhaps only after its commit. If it was committed, nothing more is written.
    """
    request = outcome.request
    if again:
        # A lane sends one request at a time, so the start of a request identifies it.
        logged = Attempt.objects.for_company(lease.company_id).filter(
            rule=request.rule, started_at=request.started_at
        )
        earlier = logged.order_by("-pk").first()
        if earlier is not None:
            return earlier
    changes = outcome.lane.columns if outcome.lane is not None else NO_CHANGES
    nobody_recalled = recall.renew_and_compare(
        lease, recalls=request.recalls, changes=changes
    )
    attempt = _log(lease.company_id, request, outcome.updates)
    failpoints.reached("first_result_row")
    if request.counted:
        _forget_uncounted(request, outcome.updates)
    _apply_all(outcome.updates, attempt, request, nobody_recalled)
    if outcome.pause_rule is not None:
        pauses.pause_rule(request.rule, outcome.pause_rule, request.api_message.message)
    if outcome.pause_connection is not None:
        pauses.pause_connection(lease, outcome.pause_connection, request.token_version)
    failpoints.reached("before_commit")
    return attempt


def _apply_all(
    updates: Iterable[EventUpdate],
    attempt: Attempt,
    request: Request,
    nobody_recalled: bool,
) -> None:
    were_all_open = True
    rejected: list[int] = []
    for update in updates:
        were_all_open &= _apply(update, attempt)
        if update.state == State.REJECTED:
            rejected += [event.row.pk for event in update.events]
    if not (were_all_open and nobody_recalled):
        keep_only_tied(attempt)
        planning.tidy_after_recall(IdList(event.row.pk for event in request.events))
    if rejected:
        duplicates.pass_on(IdList(rejected))


def reject(lease: Lease, refusals: Sequence[Refusal]) -> list[AppliedUpdate]:
    """End the events that LinkedIn will never accept, each with its own message. Raises LeaseLost."""
    return _settle_refused(
        lease, refusals, state=State.REJECTED, reason=Reason.DATA_REFUSED
    )


def postpone(
    lease: Lease, refusals: Sequence[Refusal], *, until: datetime
) -> list[AppliedUpdate]:
    """Retry these at `until`, because they are too new by LinkedIn's clock. Raises LeaseLost."""
    return _settle_refused(
        lease,
        refusals,
        state=State.PENDING,
        reason=Reason.SERVER_TROUBLE,
        next_attempt_at=until,
    )


@transaction.atomic
def _settle_refused(
    lease: Lease, refusals: Sequence[Refusal], **changes: Any
) -> list[AppliedUpdate]:
    lane.renew(lease)
    groups: defaultdict[tuple[Attempt, str], list[Sendable]] = defaultdict(list)
    for refusal in refusals:
        groups[refusal.attempt, refusal.message].append(refusal.event)
    applied: list[AppliedUpdate] = []
    for (attempt, message), events in groups.items():
        update = EventUpdate(events, message=message, **changes)
        _apply(update, attempt)
        packed = pack_hashes(
            (event.row.pk, event.conversion.email_sha256) for event in events
        )
        attempt.sent_hashes = bytes(attempt.sent_hashes) + packed
        applied.append((attempt, update))
    pks = IdList(refusal.event.row.pk for refusal in refusals)
    planning.end_taken_back(ConversionEvent.objects.filter(pk__one_of=pks))
    for attempt in {attempt for attempt, _ in applied}:
        keep_only_tied(attempt)
    if changes["state"] == State.REJECTED:
        duplicates.pass_on(pks)
    return applied


@transaction.atomic
def hold_without_request(
    lease: Lease, batch: Batch, reason: Reason, connection: Connection
) -> None:
    """Pause the connection if its token can't be read. A test event ends with the reason. Raises LeaseLost."""
    lane.renew(lease)
    if reason == Reason.TOKEN_UNREADABLE:
        pauses.pause_connection(lease, reason, connection.token_version)
    if batch.is_test:
        tests = ConversionEvent.objects.pending().filter(
            pk__one_of=[event.row.pk for event in batch.sendable]
        )
        tests.update(state=State.REJECTED, reason=reason, **columns_in(State.REJECTED))


@transaction.atomic
def close_unsendable(
    lease: Lease, unsendable: Mapping[NotSendable, Sequence[Row]]
) -> None:
    """Write the new state and the reason of events that can't be sent. Raises LeaseLost."""
    lane.renew(lease)
    for ending, rows in unsendable.items():
        pks = IdList(row.pk for row in rows)
        pending = ConversionEvent.objects.pending().filter(pk__one_of=pks)
        pending.update(**ending._asdict(), **columns_in(ending.state))
        if ending.reason in PASSING_ON:
            duplicates.pass_on(pks)


def _log(company_id: int, request: Request, updates: Sequence[EventUpdate]) -> Attempt:
    return Attempt.objects.create(
        company_id=company_id,
        rule=request.rule,
        linkedin_id=request.rule.linkedin_id,
        sent_value=request.rule.sends_value,
        api_version=request.api_version,
        started_at=request.started_at,
        duration_ms=request.duration_ms,
        event_count=len(request.events),
        sent_hashes=pack_hashes(
            (event.row.pk, event.conversion.email_sha256)
            for update in updates
            for event in update.events
        ),
        http_status=request.http_status,
        code=request.api_message.code,
        message=request.api_message.message,
    )


def _apply(update: EventUpdate, attempt: Attempt) -> bool:
    """Write the update. Returns True if all of its events were still open."""
    pks = IdList(event.row.pk for event in update.events)
    if any(event.row.last_attempt_id for event in update.events):
        _keep_earlier_attempts(pks)
    changes = update.columns(attempt)
    count = ConversionEvent.objects.pending().filter(pk__one_of=pks).update(**changes)
    if count == len(update.events):
        return True
    # An acceptance is a fact, even if the event was ended meanwhile (opted out, cancelled), and so is an unknown
    # outcome. Any other outcome leaves the event as it ended.
    ended = ConversionEvent.objects.filter(pk__one_of=pks).exclude(
        state__in=[update.state, *OPEN_STATES]
    )
    if update.state == State.ACCEPTED:
        ended.update(**changes)
    elif update.is_unknown:
        ended.update(may_have_arrived=True)
    return False


def _forget_uncounted(request: Request, updates: Iterable[EventUpdate]) -> None:
    """Delete the rows of people first counted for this request whose event LinkedIn certainly did not accept."""
    counted: set[int] = set()
    for update in updates:
        if update.state == State.ACCEPTED or update.is_unknown:
            counted.update(event.row.pk for event in update.events)
    uncounted = [
        person.pk for person in request.counted if person.event_id not in counted
    ]
    if uncounted:
        CountedPerson.objects.filter(pk__one_of=uncounted).delete()


def _keep_earlier_attempts(pks: IdList) -> None:
    earlier = ConversionEvent.objects.filter(pk__one_of=pks, last_attempt__isnull=False)
    EarlierAttempt.objects.bulk_create(
        EarlierAttempt(event_id=pk, attempt_id=attempt_id)
        for pk, attempt_id in earlier.values_list("pk", "last_attempt_id")
    )
