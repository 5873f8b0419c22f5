"""Sends one batch, in as few requests as it takes to know the outcome of every event in it."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from django.conf import settings

from capi.delivery import (
    http_session,
    lane,
    log_lines,
    outcomes,
    persons,
    recall,
    selection,
    settle,
    shutdown,
)
from capi.delivery.bisection import BatchBisection
from capi.delivery.lane import LaneSnapshot, Lease
from capi.delivery.scheduling import BatchQueue
from capi.delivery.selection import Batch, Sendable
from capi.delivery.settle import Request
from capi.linkedin import answers, failpoints, payload
from capi.linkedin.decisions import Accepted, Decision
from capi.linkedin.parsing import api_message
from capi.models import CountedPerson
from capi.models.choices import Reason, State
from capi.models.lookups import IdList
from capi.models.token import UnreadableToken, unseal

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class DeliveryResult:
    """What one call of `deliver` did."""

    states: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    # Nothing may be sent from this database, until the operator resumes sending.
    is_held_back: bool = False
    # Seconds after which there is more to do; None: nothing, as far as this turn knows.
    more_in: float | None = None


@dataclass(slots=True)
class BatchSender:
    """Sends one batch. `apply_decision` in `outcomes` does what follows from each answer."""

    lease: Lease
    result: DeliveryResult
    batch: Batch
    snapshot: LaneSnapshot  # read before the batch
    queue: BatchQueue

    def run(self) -> None:
        fitting = selection.fitting_events(
            self.batch.sendable, self.snapshot.connection.body_limit
        )
        bisection = BatchBisection([fitting])
        # The first request uses the snapshot from before the batch: `spend_request` refuses it if the token, the pause
        # or `recalls` has changed since. Each further request reads its own, as the last one changed the lane.
        unused: LaneSnapshot | None = self.snapshot.at_present()
        while (part := bisection.next_part()) is not None:
            if shutdown.has_begun():
                bisection.stop()
                break
            snapshot, unused = unused or lane.read_lane(self.lease), None
            token = self._token(snapshot)
            if token is None:
                return
            part, counted = self._spend(snapshot, part)
            if part:
                request, decision = self._request(part, counted, token, snapshot)
                outcome = outcomes.apply_decision(
                    self.lease, decision, request, snapshot.at_present(), bisection
                )
                self.result.states.update(
                    {update.state: len(update.events) for update in outcome.updates}
                )
        if bisection.refusals:
            now = self.snapshot.at_present().now
            self.result.states.update(
                [State.REJECTED] * outcomes.apply_refusals(self.lease, bisection, now)
            )

    def _token(self, snapshot: LaneSnapshot) -> str | None:
        """The token, or None if this batch may no longer be sent. Pauses the connection if the token can't be read."""
        connection = snapshot.connection
        if not self.batch.is_test and not connection.is_sending:
            return None
        try:
            return unseal(
                company_id=self.lease.company_id, sealed=connection.sealed_token
            )
        except UnreadableToken as error:
            reason, why = Reason.NO_TOKEN, Reason.NO_TOKEN.label
            if connection.has_token:
                reason = Reason.TOKEN_UNREADABLE
                why = f"{reason.label}. {error}"
            logger.error(
                "The access token of company %s can't be opened: %s.",
                self.lease.company_id,
                why,
                extra={"company_id": self.lease.company_id},
            )
            settle.hold_without_request(self.lease, self.batch, reason, connection)
            return None

    def _spend(
        self, snapshot: LaneSnapshot, part: Sequence[Sendable]
    ) -> tuple[Sequence[Sendable], Sequence[CountedPerson]]:
        """The events of the part to send now, and the rows of the people who were counted for it."""
        rule, recalls = self.batch.rule, self.batch.recalls
        if rule.counts_people and not self.batch.is_test:
            return persons.spend_for_people(
                self.lease, snapshot, rule, part, recalls=recalls
            )
        return recall.spend_unless_recalled(
            self.lease, snapshot, rule, part, recalls=recalls
        ), ()

    def _request(
        self,
        part: Sequence[Sendable],
        counted: Sequence[CountedPerson],
        token: str,
        snapshot: LaneSnapshot,
    ) -> tuple[Request, Decision]:
        """Send these events. A full batch is followed by another: read that meanwhile."""
        body = payload.encode([event.conversion for event in part])
        meanwhile = None
        if len(part) >= settings.BATCH_SIZE:
            meanwhile = partial(
                self.queue.read_ahead,
                snapshot,
                behind=IdList(event.row.pk for event in part),
            )
        answer = http_session.send(
            token=token, body=body, batch=len(part) > 1, meanwhile=meanwhile
        )
        failpoints.reached("answer_read")
        self.result.requests += 1
        request = Request(
            rule=self.batch.rule,
            api_version=settings.LINKEDIN_API_VERSION,
            events=part,
            is_test=self.batch.is_test,
            started_at=snapshot.now,
            duration_ms=answer.duration_ms,
            http_status=answer.status,
            api_message=api_message(answer),
            body_bytes=len(body),
            token_version=snapshot.connection.token_version,
            recalls=self.batch.recalls,
            linkedin_id=log_lines.linkedin_id(answer.headers),
            counted=counted,
        )
        decision = answers.decide(answer, count=len(part), sent_bytes=len(body))
        if not isinstance(decision, Accepted):
            self.queue.forget()
        return request, decision
