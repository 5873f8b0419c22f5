"""What follows from LinkedIn's answer to a request: for its events, their rule, the connection and the lane.

`capi.linkedin.answers` turns the answer into a decision, and `apply_decision` does all that follows:

    Accepted         201       the events are sent
    PerElement       200       each by its own status: sent, rejected, or retried later
    RefusedNamed     any 4xx   the named events are kept for `apply_refusals`, the others are sent again
    RefusedUnnamed   400, 409, 422  the batch is halved and sent again
    TooLarge         413       half of the bytes are sent; the lane's requests are smaller from now on
    PauseRule        403, 404, or any 4xx that blames the rule: it is paused, its events stay queued
    PauseConnection  401       the connection is paused, all of its events stay queued
    VersionRetired   426       every connection is paused
    Throttled        429       the lane rests, the events stay queued
    TryLater         5xx       the events are retried later, for three days; the lane rests
    Unclear          not LinkedIn's  the events are retried a few times; the lane rests
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

from capi.delivery import backoff, log_lines, pauses, settle
from capi.delivery.backoff import Rest
from capi.delivery.bisection import BatchBisection
from capi.delivery.lane import LaneSnapshot, LaneUpdate, Lease
from capi.delivery.selection import Sendable
from capi.delivery.settle import EventUpdate, Request, RequestOutcome
from capi.linkedin import failpoints
from capi.linkedin.decisions import (
    Accepted,
    Decision,
    ElementResult,
    PauseConnection,
    PauseRule,
    PerElement,
    RefusedNamed,
    RefusedUnnamed,
    Throttled,
    TooLarge,
    TryLater,
    Unclear,
    Verdict,
    VersionRetired,
)
from capi.models.choices import Reason, RestCause, State
from capi.models.connection import LONG_REST, NEXT_REQUEST_TAKES

logger = logging.getLogger(__name__)

Part = Sequence[Sendable]

LARGEST_BODY_BYTES = 4 * 1024 * 1024  # 5,000 of the longest elements take half of it
# LinkedIn's status of each accepted element of a batch, under a 200 for the whole.
CREATED = 201


def apply_decision(
    lease: Lease,
    decision: Decision,
    request: Request,
    snapshot: LaneSnapshot,
    bisection: BatchBisection,
) -> RequestOutcome:
    """Write what follows from the decision about this request, and let the bisection go on or stop.

    `snapshot` is the lane at the time of the answer. Raises LeaseLost, and then nothing is written.
    """
    decision = bisection.reconsider(decision, request.events)
    outcome = outcome_of(decision, request, snapshot)
    attempt = settle.until_written(
        lambda again: settle.write(lease, outcome, again=again)
    )
    failpoints.reached("after_commit")
    log_lines.log_request(attempt, outcome.updates, linkedin_id=request.linkedin_id)
    if isinstance(decision, VersionRetired):
        # After the commit: it locks every connection, in order.
        pauses.pause_all_for_version(request.api_version)
    if request.is_test:
        bisection.stop()
        return outcome
    body_limit = outcome.lane.body_limit if outcome.lane else None
    if isinstance(decision, TooLarge):
        log_lines.log_limit(lease.company_id, request.body_bytes, body_limit)
    bisection.record(decision, request.events, attempt, body_limit=body_limit)
    if bisection.blames_rule:
        pauses.pause_rule(
            request.rule, Reason.RULE_MISCONFIGURED, bisection.refusals[-1].message
        )
        bisection.stop()
    return outcome


def apply_refusals(lease: Lease, bisection: BatchBisection, now: datetime) -> int:
    """Write the outcomes of the refused events of a batch. Returns how many were rejected. Raises LeaseLost.

    If the batch was stopped they stay queued, unless other events were accepted and so the rule is not to blame.
    """
    if bisection.is_stopped and not bisection.anything_accepted:
        return 0
    early = [refusal for refusal in bisection.refusals if refusal.is_early(now)]
    wrong = [refusal for refusal in bisection.refusals if not refusal.is_early(now)]
    applied: list[settle.AppliedUpdate] = []
    if early:
        logger.warning(
            "LinkedIn's clock is behind the database's: %s events have to wait.",
            len(early),
        )
        applied += settle.postpone(
            lease, early, until=now + timedelta(seconds=settings.LANE_REST_SECONDS)
        )
    if wrong:
        applied += settle.reject(lease, wrong)
    for attempt, update in applied:
        log_lines.log_refused(attempt, update)
    return len(wrong)


def outcome_of(
    decision: Decision, request: Request, snapshot: LaneSnapshot
) -> RequestOutcome:
    """What to write in the transaction of this request.

    If the whole request was refused, its events are left alone: the bisection goes on with them.
    """
    outcome = RequestOutcome(
        request,
        _updates(decision, request.events, snapshot),
        lane_after(decision, request, snapshot),
    )
    if isinstance(decision, PauseRule):
        outcome = replace(outcome, pause_rule=Reason(decision.reason))
    if isinstance(decision, PauseConnection):
        outcome = replace(outcome, pause_connection=Reason(decision.reason))
    if request.is_test:
        return _of_test(decision, request, snapshot, outcome)
    return outcome


def _updates(
    decision: Decision, part: Part, snapshot: LaneSnapshot
) -> Sequence[EventUpdate]:
    match decision:
        case Accepted():
            return [
                EventUpdate(
                    part,
                    State.ACCEPTED,
                    http_status=None if len(part) == 1 else CREATED,
                )
            ]
        case PerElement(results=results):
            return list(_per_element(part, results, snapshot))
        case PauseRule(reason=reason) | PauseConnection(reason=reason):
            return [_on_hold(part, Reason(reason))]
        case VersionRetired():
            return [_on_hold(part, Reason.VERSION_RETIRED)]
        case Throttled():
            return [_on_hold(part, Reason.THROTTLED)]
        case TryLater(reason=reason, retry_after=retry_after, is_unknown=is_unknown):
            update = EventUpdate(
                part, State.PENDING, Reason(reason), is_unknown=is_unknown
            )
            return list(_later(update, snapshot, at_least=retry_after))
        case Unclear(is_unknown=is_unknown):
            return list(_a_few_times(part, snapshot, is_unknown=is_unknown))
        case RefusedNamed() | RefusedUnnamed() | TooLarge():
            return []


def _of_test(
    decision: Decision,
    request: Request,
    snapshot: LaneSnapshot,
    outcome: RequestOutcome,
) -> RequestOutcome:
    """The outcome for a test event: as for any other, but the event ends here, whatever the answer."""
    if isinstance(decision, Accepted):
        return outcome if snapshot.may_send else replace(outcome, lane=None)
    reason = next((update.reason for update in outcome.updates), Reason.DATA_REFUSED)
    passing = isinstance(decision, TryLater | Unclear | Throttled)
    state = State.EXHAUSTED if passing else State.REJECTED
    update = EventUpdate(request.events, state, reason, request.api_message.message)
    # A test must not make the lane rest because LinkedIn was slow once, unless LinkedIn explicitly asks for fewer
    # requests (429). Nor may it wake a lane that rests.
    rests = isinstance(decision, Throttled) and snapshot.may_send
    return replace(outcome, updates=[update], lane=outcome.lane if rests else None)


def lane_after(
    decision: Decision, request: Request, snapshot: LaneSnapshot
) -> LaneUpdate:
    """What the decision changes about the lane: its rest, the failures in a row, and the largest request."""
    connection, limit = snapshot.connection, snapshot.connection.body_limit
    match decision:
        case Throttled(retry_after=retry_after, until_midnight=day_limit):
            continues = _continues(request.events, snapshot)
            before = connection.throttles_in_a_row if continues else 0
            rest = backoff.throttle_rest(
                snapshot.now, before, retry_after=retry_after, day_limit=day_limit
            )
            # A 429 with a Retry-After, or a rest until midnight, ends the run: the next 429 starts a new one.
            throttles = before + 1 if rest.cause == RestCause.THROTTLED else 0
            return _resting(
                rest,
                snapshot,
                continues,
                throttles_in_a_row=throttles,
                body_limit=limit,
            )
        case TryLater() | Unclear():
            continues = _continues(request.events, snapshot)
            before = connection.failures_in_a_row if continues else 0
            rest = _rest_after(decision, before, snapshot.now)
            return _resting(
                rest,
                snapshot,
                continues,
                failures_in_a_row=before + 1,
                body_limit=limit,
            )
        case TooLarge():
            limit = request.body_bytes // 2
        case Accepted() | PerElement() if limit is not None:
            limit = limit * 2 if limit * 2 < LARGEST_BODY_BYTES else None
    return LaneUpdate(
        body_limit=limit, needs_alert_check=connection.resting_since is not None
    )


def _rest_after(failure: TryLater | Unclear, failures: int, now: datetime) -> Rest:
    if isinstance(failure, Unclear):
        return backoff.trouble_rest(now, failures, cause=RestCause.UNCLEAR)
    return backoff.trouble_rest(now, failures, retry_after=failure.retry_after)


def _continues(part: Part, snapshot: LaneSnapshot) -> bool:
    """True if this failure continues the last one: the lane retried as soon as it could, or an event has failed before.

    If the events that failed are gone (deleted, opted out), a failure hours later is a new one.
    """
    connection = snapshot.connection
    if connection.failing_since(snapshot.now) is None:
        return False
    at_once = (
        connection.next_attempt_at is None
        or snapshot.now < connection.next_attempt_at + NEXT_REQUEST_TAKES
    )
    return at_once or any(event.row.attempts for event in part)


def _resting(
    rest: Rest, snapshot: LaneSnapshot, continues: bool, **changes: Any
) -> LaneUpdate:
    since = (snapshot.connection.resting_since if continues else None) or snapshot.now
    needs_alert_check = rest.until - since > LONG_REST
    return LaneUpdate(
        rest.until, since, rest.cause, needs_alert_check=needs_alert_check, **changes
    )


def _on_hold(part: Part, reason: Reason) -> EventUpdate:
    """The events stay pending and due, on hold by a pause or the lane's rest. This doesn't count as an attempt."""
    return EventUpdate(part, State.PENDING, reason, counts_attempt=False)


def _later(
    update: EventUpdate, snapshot: LaneSnapshot, *, at_least: float | None = None
) -> Iterator[EventUpdate]:
    """The update, with the time of the next attempt, or given up after the last one."""
    # Events with the same number of attempts get the same delay, so that a batch stays together.
    by_tries: defaultdict[int, list[Sendable]] = defaultdict(list)
    for event in update.events:
        by_tries[event.row.attempts + 1].append(event)
    for tries, events in by_tries.items():
        delay = backoff.retry_delay(tries, at_least=at_least)
        if delay is None:
            yield replace(update, events=events, state=State.EXHAUSTED)
        else:
            yield replace(update, events=events, next_attempt_at=snapshot.now + delay)


def _a_few_times(
    part: Part, snapshot: LaneSnapshot, *, is_unknown: bool
) -> Iterator[EventUpdate]:
    """As `_later` for unclear answers, but give up the events that have had enough of them."""
    given_up: list[Sendable] = []
    left: list[Sendable] = []
    for event in part:
        # Two unclear answers in a row: LinkedIn may have been down for two days before the first.
        if (
            event.row.attempts + 1 >= backoff.UNCLEAR_TRIES
            and event.row.reason == Reason.UNCLEAR
        ):
            given_up.append(event)
        else:
            left.append(event)
    if given_up:
        yield EventUpdate(
            given_up, State.EXHAUSTED, Reason.UNCLEAR, is_unknown=is_unknown
        )
    yield from _later(
        EventUpdate(left, State.PENDING, Reason.UNCLEAR, is_unknown=is_unknown),
        snapshot,
    )


def _per_element(
    part: Part, results: Sequence[ElementResult], snapshot: LaneSnapshot
) -> Iterator[EventUpdate]:
    groups: defaultdict[ElementResult, list[Sendable]] = defaultdict(list)
    for event, result in zip(part, results, strict=True):
        groups[result].append(event)
    for result, events in groups.items():
        status = result.status
        if result.verdict == Verdict.ACCEPTED:
            yield EventUpdate(events, State.ACCEPTED, http_status=status)
        elif result.verdict == Verdict.REJECTED:
            yield EventUpdate(
                events,
                State.REJECTED,
                Reason.DATA_REFUSED,
                result.message,
                http_status=status,
            )
        else:
            update = EventUpdate(
                events,
                State.PENDING,
                Reason.SERVER_TROUBLE,
                result.message,
                http_status=status,
            )
            # A success, but not a plain one.
            is_unknown = status is None or status < 300
            yield from _later(replace(update, is_unknown=is_unknown), snapshot)
