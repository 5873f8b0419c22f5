"""One turn of a company's lane: take what is due, send it, write what came of it, until nothing is left.

No network inside a transaction: take (short), send, settle (short).
"""

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

from django.conf import settings

from capi import killpoints, shutdown, vault
from capi.linkedin import answers, payload
from capi.linkedin.answers import Accepted, Decision, PerElement, RefusedNamed, RefusedUnnamed, TooLarge, VersionRetired
from capi.models import Attempt
from capi.pipeline import backfill, lane, recall, request_log, settle, take, wire
from capi.pipeline.ahead import Ahead
from capi.pipeline.batch import Hunt, Refusal
from capi.pipeline.keys import Keys
from capi.pipeline.lane import Lease, LeaseLost, Look
from capi.pipeline.outcomes import final_outcome, outcome_of
from capi.pipeline.persist import until_written
from capi.pipeline.queue import Queue
from capi.pipeline.settle import Outcome, Request
from capi.pipeline.take import Batch, Sendable
from capi.reasons import Reason, State

logger = logging.getLogger(__name__)

LONGEST_SLEEP_SECONDS = 1.0  # for a longer wait the worker is given back


@dataclass(slots=True)
class Turn:
    """What one call of `deliver` did."""

    states: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    more_in: float | None = None  # seconds after which there is more to do; None: nothing, as far as this turn knows


def deliver(company_id: int, *, seconds: float = math.inf) -> Turn:
    """Send what is due for the company, for about `seconds`. Does nothing while another worker is at it.

    Nor once this worker is to end: then there is more to do, for another.
    """
    turn = Turn()
    if shutdown.has_begun():
        turn.more_in = 0.0
        return turn
    until = time.monotonic() + seconds
    while (lease := lane.take_lease(company_id)) is not None:
        killpoints.reached("after_lease")
        try:
            _work(lease, turn, until)
        except LeaseLost as lost:
            logger.warning("%s", lost)
            break
        finally:
            lane.release(lease)
        # What was committed while we let go found the lane taken, and its wake-up is spent: look once more.
        if turn.more_in is not None or not lane.due_lanes().filter(company=company_id).exists():
            break
    return turn


def _work(lease: Lease, turn: Turn, until: float) -> None:
    queue = Queue()
    ahead = Ahead(queue)
    while True:
        if shutdown.has_begun():
            turn.more_in = 0.0
            return
        seen = lane.look(lease)
        batch, recalls = take.next_test(lease.company_id) if seen.has_test else None, seen.connection.recalls
        if batch is None:
            if not seen.may_send:
                return
            if time.monotonic() >= until:
                turn.more_in = 0.0
                return
            if not _purse_allows(lease, seen, turn):
                return
            batch, recalls = ahead.pop() or (queue.next_batch(seen), recalls)
        if batch is None:
            if backfill.go_on(lease):
                continue
            return
        if batch.unsendable:
            settle.close_unsendable(lease, batch.unsendable)
            turn.states.update({verdict.state: len(rows) for verdict, rows in batch.unsendable.items()})
        if batch.sendable:
            fitting = _fitting(batch.sendable, seen.connection.body_limit)
            Sending(lease, turn, replace(batch, sendable=fitting), recalls, ahead).run()


def _fitting(events: Sequence[Sendable], body_limit: int | None) -> Sequence[Sendable]:
    """The first of these events, as many as one request may hold; the others stay due."""
    if body_limit is None:
        return events
    return events[: payload.fitting([event.conversion for event in events], limit=body_limit)]


def _purse_allows(lease: Lease, seen: Look, turn: Turn) -> bool:
    """Wait where the purse asks for a short wait; for a long one let the lane rest and give the worker back."""
    if seen.wait_seconds <= LONGEST_SLEEP_SECONDS:
        time.sleep(seen.wait_seconds)
        return True
    lane.wait_until(lease, seen.now + timedelta(seconds=seen.wait_seconds))
    turn.more_in = seen.wait_seconds
    return False


@dataclass(slots=True)
class Sending:
    """One batch on its way: as few requests as it takes to know what becomes of every event in it."""

    lease: Lease
    turn: Turn
    batch: Batch
    recalls: int  # of the connection, before the batch was read
    ahead: Ahead

    def run(self) -> None:
        hunt = Hunt([self.batch.sendable])
        while (part := hunt.next_part()) is not None:
            if shutdown.has_begun():
                break
            seen = lane.look(self.lease)
            token = self._token(seen)
            if token is None:
                return
            part = recall.pay(self.lease, seen, part, recalls=self.recalls)
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

    def _token(self, seen: Look) -> str | None:
        """The token, if this batch may still go. Pauses the connection where the token can't be opened."""
        connection = seen.connection
        if not self.batch.is_test and not connection.is_sending:
            return None
        try:
            return vault.unseal(company_id=self.lease.company_id, sealed=connection.sealed_token)
        except vault.UnreadableToken as error:
            reason = Reason.TOKEN_UNREADABLE if connection.has_token else Reason.NO_TOKEN
            why = f"{reason.label}. {error}" if connection.has_token else reason.label
            logger.error("The access token of company %s can't be opened: %s.", self.lease.company_id, why)
            settle.hold_without_request(self.lease, self.batch, reason, connection)
            return None

    def _request(self, part: Sequence[Sendable], token: str, seen: Look) -> tuple[Request, Decision]:
        body = payload.encode([event.conversion for event in part])
        answer = wire.send(token=token, body=body, batch=len(part) > 1, meanwhile=self._meanwhile(part, seen))
        killpoints.reached("answer_read")
        self.turn.requests += 1
        request = Request(
            rule=self.batch.rule,
            api_version=settings.LINKEDIN_API_VERSION,
            events=part,
            started_at=seen.now,
            duration_ms=answer.duration_ms,
            http_status=answer.status,
            said=answers.said(answer),
            body_bytes=len(body),
            token_version=seen.connection.token_version,
            recalls=self.recalls,
            linkedin_id=request_log.linkedin_id(answer.headers),
        )
        decision = answers.decide(answer, count=len(part), sent_bytes=len(body))
        if not isinstance(decision, Accepted):
            self.ahead.forget()
        return request, decision

    def _meanwhile(self, part: Sequence[Sendable], seen: Look) -> Callable[[], None] | None:
        """What to do while this part is on the wire: where it is a full batch there may be another behind it."""
        if len(part) < settings.BATCH_SIZE:
            return None
        return partial(self.ahead.read, seen, behind=Keys(event.row.pk for event in part))

    def _follow(self, hunt: Hunt, part: Sequence[Sendable], request: Request, decision: Decision, seen: Look) -> bool:
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
                hunt.cut(_fitting(part, outcome.lane.body_limit))
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

    def _write(self, outcome: Outcome) -> Attempt:
        attempt = until_written(lambda again: settle.write(self.lease, outcome, again=again))
        killpoints.reached("after_commit")
        request_log.log_request(attempt, outcome.fates, linkedin_id=outcome.request.linkedin_id)
        self.turn.states.update({fate.state: len(fate.events) for fate in outcome.fates})
        return attempt

    def _settle_refused(self, refusals: Sequence[Refusal]) -> None:
        if not refusals:
            return
        now = lane.look(self.lease).now
        wrong = [refusal for refusal in refusals if not refusal.is_early(now)]
        if early := [refusal for refusal in refusals if refusal.is_early(now)]:
            logger.warning("LinkedIn's clock is behind the database's: %s events have to wait.", len(early))
            settle.postpone(self.lease, early, until=now + timedelta(seconds=settings.LANE_REST_SECONDS))
        if wrong:
            settle.reject(self.lease, wrong)
            self.turn.states[State.REJECTED] += len(wrong)
