"""What LinkedIn's decision means for the events of a request, for their rule and for the lane.

`capi.linkedin.answers` reads the answer; here is what follows from it. Named and unnamed refusals of a whole batch are
the hunt's business (`capi.delivery.bisection`).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from capi.delivery import backoff
from capi.delivery.backoff import Rest
from capi.delivery.lane import LaneSnapshot, LaneUpdate
from capi.delivery.selection import Sendable
from capi.delivery.settle import EventUpdate, Request, RequestOutcome
from capi.linkedin.answers import (
    Accepted,
    Decision,
    ElementResult,
    PauseConnection,
    PauseRule,
    PerElement,
    Throttled,
    TooLarge,
    TryLater,
    Verdict,
    VersionRetired,
)
from capi.models.choices import Reason, RestCause, State
from capi.models.connection import LONG_REST, NEXT_REQUEST_TAKES

Part = Sequence[Sendable]

LARGEST_BODY_BYTES = 4 * 1024 * 1024  # 5,000 of the longest elements come to half of it

CREATED = 201  # what LinkedIn says of each element of a batch that it took, under a 200 for the whole


def outcome_of(decision: Decision, request: Request, part: Part, seen: LaneSnapshot) -> RequestOutcome:
    """The outcome to write. Of a refusal of the whole request the events learn later: that is the hunt's business."""
    outcome = partial(RequestOutcome, request, lane=lane_after(decision, request, part, seen))
    match decision:
        case Accepted():
            status = None if len(part) == 1 else CREATED
            return outcome([EventUpdate(part, State.ACCEPTED, http_status=status)])
        case PerElement(results=results):
            return outcome(list(_per_element(part, results, seen)))
        case PauseRule(reason=reason):
            return outcome([_held(part, Reason(reason))], pause_rule=Reason(reason))
        case PauseConnection(reason=reason):
            return outcome([_held(part, Reason(reason))], pause_connection=Reason(reason))
        case VersionRetired():
            return outcome([_held(part, Reason.VERSION_RETIRED)])
        case Throttled():
            return outcome([_held(part, Reason.THROTTLED)])
        case TryLater(reason=reason, retry_after=wish):
            return outcome(list(_later(part, Reason(reason), seen, at_least=wish)))
    return outcome()


def final_outcome(decision: Decision, request: Request, part: Part, seen: LaneSnapshot) -> RequestOutcome:
    """The outcome for a test event: as for any other, but it ends here, whatever the answer."""
    outcome = outcome_of(decision, request, part, seen)
    if isinstance(decision, Accepted):
        return outcome if seen.may_send else replace(outcome, lane=None)
    reason = next((fate.reason for fate in outcome.fates), Reason.DATA_REFUSED)
    passing = isinstance(decision, TryLater | Throttled)
    fate = EventUpdate(part, State.EXHAUSTED if passing else State.REJECTED, reason, request.said.message)
    # A test must not send the lane to rest because LinkedIn was slow once; a throttle is LinkedIn's own word. Nor must
    # it wake a lane that rests.
    rests = isinstance(decision, Throttled) and seen.may_send
    return RequestOutcome(
        request, [fate], outcome.lane if rests else None, outcome.pause_rule, outcome.pause_connection
    )


def lane_after(decision: Decision, request: Request, part: Part, seen: LaneSnapshot) -> LaneUpdate:
    """What the decision means for the lane: its rest, what failed in a row, and how large a request may be."""
    connection, limit = seen.connection, seen.connection.body_limit
    goes_on = _goes_on(part, seen)
    match decision:
        case Throttled(retry_after=wish, until_midnight=day_limit):
            before = connection.throttles_in_a_row if goes_on else 0
            rest = backoff.throttle_rest(seen.now, before, retry_after=wish, day_limit=day_limit)
            # One with a Retry-After, and the rest until midnight, end the run: what comes then is judged by itself.
            throttles = before + 1 if rest.cause == RestCause.THROTTLED else 0
            return _resting(rest, seen, goes_on, throttles_in_a_row=throttles, body_limit=limit)
        case TryLater(retry_after=wish):
            before = connection.failures_in_a_row if goes_on else 0
            rest = backoff.trouble_rest(seen.now, before, retry_after=wish)
            return _resting(rest, seen, goes_on, failures_in_a_row=before + 1, body_limit=limit)
        case TooLarge():
            limit = request.body_bytes // 2
        case Accepted() | PerElement() if limit is not None:
            limit = limit * 2 if limit * 2 < LARGEST_BODY_BYTES else None
    return LaneUpdate(body_limit=limit, is_news=connection.resting_since is not None)


def _goes_on(part: Part, seen: LaneSnapshot) -> bool:
    """True if what fails now is the trouble of before: it was tried as soon as the lane might, or has failed before.

    Where what had failed is gone (deleted, opted out), a failure hours later is another one.
    """
    connection = seen.connection
    if connection.failing_since(seen.now) is None:
        return False
    at_once = connection.next_attempt_at is None or seen.now < connection.next_attempt_at + NEXT_REQUEST_TAKES
    return at_once or any(event.row.attempts for event in part)


def _resting(rest: Rest, seen: LaneSnapshot, goes_on: bool, **changes: Any) -> LaneUpdate:
    since = (seen.connection.resting_since if goes_on else None) or seen.now
    is_news = rest.until - since > LONG_REST
    return LaneUpdate(rest.until, since, rest.cause, is_news=is_news, **changes)


def _held(part: Part, reason: Reason) -> EventUpdate:
    """The events stay pending and due; what holds them is a pause or the lane's rest. It burns no attempt."""
    return EventUpdate(part, State.PENDING, reason, burns_attempt=False)


def _later(
    part: Part,
    reason: Reason,
    seen: LaneSnapshot,
    *,
    at_least: float | None = None,
    message: str = "",
    status: int | None = None,
) -> Iterator[EventUpdate]:
    # One delay for all that have been tried equally often, so that a batch stays a batch on its next try.
    by_tries: defaultdict[int, list[Sendable]] = defaultdict(list)
    for event in part:
        by_tries[event.row.attempts + 1].append(event)
    for tries, events in by_tries.items():
        delay = backoff.retry_delay(tries, at_least=at_least)
        if delay is None:
            yield EventUpdate(events, State.EXHAUSTED, reason, message, http_status=status)
        else:
            due = seen.now + delay
            yield EventUpdate(events, State.PENDING, reason, message, next_attempt_at=due, http_status=status)


def _per_element(part: Part, results: Sequence[ElementResult], seen: LaneSnapshot) -> Iterator[EventUpdate]:
    groups: defaultdict[ElementResult, list[Sendable]] = defaultdict(list)
    for event, result in zip(part, results, strict=True):
        groups[result].append(event)
    for result, events in groups.items():
        if result.verdict == Verdict.ACCEPTED:
            yield EventUpdate(events, State.ACCEPTED, http_status=result.status)
        elif result.verdict == Verdict.REJECTED:
            yield EventUpdate(events, State.REJECTED, Reason.DATA_REFUSED, result.message, http_status=result.status)
        else:
            yield from _later(events, Reason.SERVER_TROUBLE, seen, message=result.message, status=result.status)
