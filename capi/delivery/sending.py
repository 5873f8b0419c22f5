"""Sending one batch: as few requests as it takes to know what becomes of every event in it."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from django.conf import settings

from capi.delivery import http_session, lane, recall, request_log, settle, shutdown
from capi.delivery.bisection import BatchBisection, Refusal
from capi.delivery.lane import LaneSnapshot, Lease
from capi.delivery.outcomes import final_outcome, outcome_of
from capi.delivery.scheduling import ReadAhead
from capi.delivery.selection import Batch, Sendable
from capi.delivery.settle import Request, RequestOutcome, until_written
from capi.linkedin import answers, failpoints, payload
from capi.linkedin.answers import Accepted, Decision, PerElement, RefusedNamed, RefusedUnnamed, TooLarge, VersionRetired
from capi.models import Attempt
from capi.models.choices import Reason, State
from capi.models.lookups import IdList
from capi.models.token import UnreadableToken, unseal

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class DeliveryResult:
    """What one call of `deliver` did."""

    states: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    more_in: float | None = None  # seconds after which there is more to do; None: nothing, as far as this turn knows


def fitting_events(events: Sequence[Sendable], body_limit: int | None) -> Sequence[Sendable]:
    """The first of these events, as many as one request may hold; the others stay due."""
    if body_limit is None:
        return events
    return events[: payload.fitting([event.conversion for event in events], limit=body_limit)]


@dataclass(slots=True)
class BatchSender:
    """One batch on its way: as few requests as it takes to know what becomes of every event in it."""

    lease: Lease
    turn: DeliveryResult
    batch: Batch
    recalls: int  # of the connection, before the batch was read
    ahead: ReadAhead

    def run(self) -> None:
        hunt = BatchBisection([self.batch.sendable])
        while (part := hunt.next_part()) is not None:
            if shutdown.has_begun():
                break
            seen = lane.read_lane(self.lease)
            token = self._token(seen)
            if token is None:
                return
            part = recall.spend_request(self.lease, seen, part, recalls=self.recalls)
            if not part:
                continue
            request, decision = self._request(part, token, seen)
            goes_on = self._follow(hunt, part, request, decision, seen.after(request.duration_ms))
            if hunt.blames_rule:
                settle.pause_rule(self.batch.rule, Reason.RULE_MISCONFIGURED, hunt.refusals[-1].message)
                return
            if not goes_on:
                break
        else:
            self._settle_refused(hunt.refusals)
            return
        # Stopped halfway: the refused stay queued, unless it is known that they and not the rule are to blame.
        if hunt.anything_accepted:
            self._settle_refused(hunt.refusals)

    def _token(self, seen: LaneSnapshot) -> str | None:
        """The token, if this batch may still go. Pauses the connection where the token can't be opened."""
        connection = seen.connection
        if not self.batch.is_test and not connection.is_sending:
            return None
        try:
            return unseal(company_id=self.lease.company_id, sealed=connection.sealed_token)
        except UnreadableToken as error:
            reason = Reason.TOKEN_UNREADABLE if connection.has_token else Reason.NO_TOKEN
            why = f"{reason.label}. {error}" if connection.has_token else reason.label
            logger.error("The access token of company %s can't be opened: %s.", self.lease.company_id, why)
            settle.hold_without_request(self.lease, self.batch, reason, connection)
            return None

    def _request(self, part: Sequence[Sendable], token: str, seen: LaneSnapshot) -> tuple[Request, Decision]:
        body = payload.encode([event.conversion for event in part])
        answer = http_session.send(token=token, body=body, batch=len(part) > 1, meanwhile=self._meanwhile(part, seen))
        failpoints.reached("answer_read")
        self.turn.requests += 1
        request = Request(
            rule=self.batch.rule,
            api_version=settings.LINKEDIN_API_VERSION,
            events=part,
            started_at=seen.now,
            duration_ms=answer.duration_ms,
            http_status=answer.status,
            said=answers.api_message(answer),
            body_bytes=len(body),
            token_version=seen.connection.token_version,
            recalls=self.recalls,
            linkedin_id=request_log.linkedin_id(answer.headers),
        )
        decision = answers.decide(answer, count=len(part), sent_bytes=len(body))
        if not isinstance(decision, Accepted):
            self.ahead.forget()
        return request, decision

    def _meanwhile(self, part: Sequence[Sendable], seen: LaneSnapshot) -> Callable[[], None] | None:
        """What to do while this part is on the wire: where it is a full batch there may be another behind it."""
        if len(part) < settings.BATCH_SIZE:
            return None
        return partial(self.ahead.read, seen, behind=IdList(event.row.pk for event in part))

    def _follow(
        self, hunt: BatchBisection, part: Sequence[Sendable], request: Request, decision: Decision, seen: LaneSnapshot
    ) -> bool:
        """Write what is known and tell the hunt. False if the batch stops here."""
        if self.batch.is_test:
            self._write(final_outcome(decision, request, part, seen))
            return self._pause_all(decision, request)
        decision = hunt.in_its_light(decision, part)
        outcome = outcome_of(decision, request, part, seen)
        attempt = self._write(outcome)
        match decision:
            case RefusedNamed(reasons=reasons):
                hunt.refused(part, reasons, attempt)
                return True
            case RefusedUnnamed() if len(part) > 1:
                hunt.halve(part)
                return True
            case TooLarge():
                assert outcome.lane is not None
                hunt.cut(fitting_events(part, outcome.lane.body_limit))
                self._tell_limit(request, outcome.lane.body_limit)
                return True
            case Accepted() | PerElement():
                hunt.anything_accepted = True
                return True
        return self._pause_all(decision, request)

    def _tell_limit(self, request: Request, body_limit: int | None) -> None:
        logger.warning(
            "LinkedIn refused a request of company %s with 413, for its %s bytes: the next ones have at most %s, and "
            "twice as many after each that is accepted.",
            self.lease.company_id, f"{request.body_bytes:,}", f"{body_limit:,}",
        )  # fmt: skip

    def _pause_all(self, decision: Decision, request: Request) -> bool:
        # After the commit: it locks every connection, in an order of its own.
        if isinstance(decision, VersionRetired):
            settle.pause_all_for_version(request.api_version)
        return False

    def _write(self, outcome: RequestOutcome) -> Attempt:
        attempt = until_written(lambda again: settle.write(self.lease, outcome, again=again))
        failpoints.reached("after_commit")
        request_log.log_request(attempt, outcome.fates, linkedin_id=outcome.request.linkedin_id)
        self.turn.states.update({fate.state: len(fate.events) for fate in outcome.fates})
        return attempt

    def _settle_refused(self, refusals: Sequence[Refusal]) -> None:
        if not refusals:
            return
        now = lane.read_lane(self.lease).now
        wrong = [refusal for refusal in refusals if not refusal.is_early(now)]
        if early := [refusal for refusal in refusals if refusal.is_early(now)]:
            logger.warning("LinkedIn's clock is behind the database's: %s events have to wait.", len(early))
            settle.postpone(self.lease, early, until=now + timedelta(seconds=settings.LANE_REST_SECONDS))
        if wrong:
            settle.reject(self.lease, wrong)
            self.turn.states[State.REJECTED] += len(wrong)
