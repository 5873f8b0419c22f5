"""Stores what sources send, and makes leads of it: companies in turns, each payload in one transaction."""

import hashlib
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import Final

from django.db import connection, transaction
from django.db.models.functions import Now

from crm.intake.bodies import Unreadable, fields_of
from crm.intake.leads import Result, take_in
from crm.models import Company, IntakeSource, Payload
from crm.models.intake import PayloadOutcome
from crm.services.background import tried

REPEATED_WITHIN: Final = timedelta(days=1)
LOCK_TIMEOUT: Final = "2s"
TURN_SECONDS: Final = 0.5
AGAIN_AFTER: Final = timedelta(seconds=30)
CONTENT_TYPE_AT_MOST: Final = 200  # characters


def store_payload(
    *, source: IntakeSource, body: bytes, content_type: str, sender_id: str
) -> Payload:
    """Store it as it is. One with the same `sender_id` and body is a repeat; the id is "" if the sender has none."""
    sent_id = sender_id.encode("utf-8", "replace")
    return Payload.objects.create(
        company_id=source.company_id,
        source=source,
        body=body,
        content_type=content_type.replace("\0", "")[:CONTENT_TYPE_AT_MOST],
        key=hashlib.sha256(sent_id + b"\n" + body).hexdigest(),
    )


def process_payloads(go_on: Callable[[], bool]) -> bool:
    """Make leads of the payloads that wait. Returns True if `go_on` has ended it, so that more may wait.

    Companies take turns of `TURN_SECONDS`, in random order: one that gets many keeps no other waiting.
    """
    while go_on():
        if not sum(_take_turn(company_id, go_on) for company_id in _companies()):
            return False
    return True


def _companies() -> list[int]:
    waiting = Payload.objects.waiting().order_by().values("company")
    companies = Company.objects.filter(pk__in=waiting).order_by("?")
    return [*companies.values_list("pk", flat=True)]


def _take_turn(company_id: int, go_on: Callable[[], bool]) -> int:
    """Process payloads of one company until its turn ends. Returns how many there were."""
    ends_at = monotonic() + TURN_SECONDS
    count = 0
    while go_on() and _process_next(company_id):
        count += 1
        if monotonic() > ends_at:
            break
    return count


@transaction.atomic
def _process_next(company_id: int) -> bool:
    """Process one payload. Returns False if there is none, or another transaction has the company."""
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
    # One payload of a company at a time: two about one person make one lead. Nor does an erasure come in between.
    free = Company.objects.select_for_update(no_key=True, skip_locked=True)
    if not free.filter(pk=company_id).exists():
        return False
    payload = Payload.objects.for_company(company_id).waiting().first()
    if payload is None:
        return False
    failure = f"Payload {payload.pk} could not be processed, and is tried again."
    if not tried(partial(_end, payload), failure=failure):
        # The next ones get their turn: this one may fail for ever.
        Payload.objects.filter(pk=payload.pk).update(try_after=Now() + AGAIN_AFTER)
    return True


@transaction.atomic
def _end(payload: Payload) -> bool:
    try:
        result = _result(payload)
    except Unreadable as error:
        result = Result(PayloadOutcome.REFUSED)
        payload.reason = error.reason
    payload.outcome = result.outcome
    payload.made = result.lead
    payload.ended_at = Now()
    payload.save(update_fields=["outcome", "reason", "made", "ended_at"])
    return True


def _result(payload: Payload) -> Result:
    first = _first_of(payload)
    if first is not None:
        return Result(PayloadOutcome.REPEATED, first.made)
    return take_in(payload.source, fields_of(bytes(payload.body), payload.content_type))


def _first_of(payload: Payload) -> Payload | None:
    """The same payload, sent on the day before this one or since, if a lead was made of it."""
    processed = Payload.objects.for_company(payload.company_id).filter(
        source=payload.source_id,
        key=payload.key,
        outcome__in=(PayloadOutcome.ADDED, PayloadOutcome.UPDATED),
    )
    since = payload.received_at - REPEATED_WITHIN
    found = processed.filter(received_at__gt=since).defer("body")
    return found.select_related("made").first()
