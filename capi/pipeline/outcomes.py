"""What LinkedIn's decision means for the events of a request, for their rule and for the lane.

`capi.linkedin.answers` reads the answer; here is what follows from it. Named and unnamed refusals of a whole batch are
the hunt's business (`capi.pipeline.batch`).
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from capi.linkedin.answers import (
    Accepted,
    Decision,
    ElementResult,
    PauseConnection,
    PauseRule,
    PerElement,
    Throttled,
    TryLater,
    Verdict,
    VersionRetired,
)
from capi.pipeline import backoff
from capi.pipeline.lane import AWAKE, Look, rest_until
from capi.pipeline.settle import Fate, Outcome, Request
from capi.pipeline.take import Sendable
from capi.reasons import Reason, State

Part = Sequence[Sendable]

CREATED = 201  # what LinkedIn says of each element of a batch that it took, under a 200 for the whole


def outcome_of(decision: Decision, request: Request, part: Part, seen: Look) -> Outcome:
    """The outcome to write for any decision but a refusal of the whole request."""
    failures = seen.connection.failures_in_a_row
    match decision:
        case Accepted():
            status = None if len(part) == 1 else CREATED
            return Outcome(request, [Fate(part, State.ACCEPTED, http_status=status)], lane=AWAKE)
        case PerElement(results=results):
            return Outcome(request, list(_per_element(part, results, seen)), lane=AWAKE)
        case PauseRule(reason=reason):
            return Outcome(request, [_held(part, Reason(reason))], pause_rule=Reason(reason))
        case PauseConnection(reason=reason):
            return Outcome(request, [_held(part, Reason(reason))], pause_connection=Reason(reason))
        case VersionRetired():
            return Outcome(request, [_held(part, Reason.VERSION_RETIRED)])
        case Throttled(retry_after=wish, until_midnight=until_midnight):
            end = backoff.throttle_end(seen.now, failures, at_least=wish, until_midnight=until_midnight)
            return Outcome(request, [_held(part, Reason.THROTTLED)], lane=rest_until(end))
        case TryLater(reason=reason, retry_after=wish):
            fates = list(_later(part, Reason(reason), seen, at_least=wish))
            return Outcome(request, fates, lane=rest_until(seen.now + backoff.lane_rest(failures)))
    return Outcome(request)


def final_outcome(decision: Decision, request: Request, part: Part, seen: Look) -> Outcome:
    """The outcome for a test event: as for any other, but it ends here, whatever the answer."""
    if isinstance(decision, Accepted):
        return outcome_of(decision, request, part, seen)
    outcome = outcome_of(decision, request, part, seen)
    reason = next((fate.reason for fate in outcome.fates), Reason.DATA_REFUSED)
    passing = isinstance(decision, TryLater | Throttled)
    fate = Fate(part, State.EXHAUSTED if passing else State.REJECTED, reason, request.said.message)
    # A test must not send the lane to rest because LinkedIn was slow once; a throttle is LinkedIn's own word.
    rest = outcome.lane if isinstance(decision, Throttled) else {}
    return Outcome(request, [fate], rest, outcome.pause_rule, outcome.pause_connection)


def _held(part: Part, reason: Reason) -> Fate:
    """The events stay pending and due; what holds them is a pause or the lane's rest. It burns no attempt."""
    return Fate(part, State.PENDING, reason, burns_attempt=False)


def _later(
    part: Part,
    reason: Reason,
    seen: Look,
    *,
    at_least: float | None = None,
    message: str = "",
    status: int | None = None,
) -> Iterator[Fate]:
    # One delay for all that have been tried equally often, so that a batch stays a batch on its next try.
    by_tries: defaultdict[int, list[Sendable]] = defaultdict(list)
    for event in part:
        by_tries[event.row.attempts + 1].append(event)
    for tries, events in by_tries.items():
        delay = backoff.retry_delay(tries, at_least=at_least)
        if delay is None:
            yield Fate(events, State.EXHAUSTED, reason, message, http_status=status)
        else:
            due = seen.now + delay
            yield Fate(events, State.PENDING, reason, message, next_attempt_at=due, http_status=status)


def _per_element(part: Part, results: Sequence[ElementResult], seen: Look) -> Iterator[Fate]:
    groups: defaultdict[ElementResult, list[Sendable]] = defaultdict(list)
    for event, result in zip(part, results, strict=True):
        groups[result].append(event)
    for result, events in groups.items():
        if result.verdict == Verdict.ACCEPTED:
            yield Fate(events, State.ACCEPTED, http_status=result.status)
        elif result.verdict == Verdict.REJECTED:
            yield Fate(events, State.REJECTED, Reason.DATA_REFUSED, result.message, http_status=result.status)
        else:
            yield from _later(events, Reason.SERVER_TROUBLE, seen, message=result.message, status=result.status)
