"""One event in full: its attempts and the JSON sent or to be sent, with the hash and never the address."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from capi.delivery import selection
from capi.delivery.selection import Sendable
from capi.delivery.sent_hashes import hash_of
from capi.linkedin import payload
from capi.linkedin.payload import Conversion
from capi.models import Attempt, ConversionEvent
from capi.models.choices import State
from capi.models.functions import database_now
from capi.selectors.explanations.dry_run import NO_CURRENCY
from capi.selectors.explanations.reasons import REASONS
from capi.selectors.explanations.states import STATES, Explanation


@dataclass(frozen=True, slots=True)
class RequestPreview:
    """The JSON that was sent, or would be sent now. If there is none, `nothing` explains why.

    `no_value` explains why the JSON has no value although the CRM event has an amount.
    """

    text: str = ""
    was_sent: bool = False
    nothing: Explanation | None = None
    no_value: Explanation | None = None


def attempts_of(event: ConversionEvent) -> list[Attempt]:
    """All requests with this event, newest first."""
    # The hashes of a full batch take 200 kB, and only those of the last attempt are shown.
    links = (
        event.earlier_attempts.select_related("attempt")
        .defer("attempt__sent_hashes")
        .order_by("-pk")
    )
    earlier = [link.attempt for link in links]
    return [event.last_attempt, *earlier] if event.last_attempt else earlier


def response_to(event: ConversionEvent, attempts: Sequence[Attempt]) -> str:
    """LinkedIn's latest response to this event, not the one that paused its rule or company. "" if unknown."""
    status = event.http_status
    if status is None and attempts:
        status = attempts[0].http_status
    if status is not None:
        return f"HTTP {status}"
    if attempts:
        return "None to the latest request"
    if event.attempts:  # The requests are no longer kept.
        return ""
    return "None: not sent yet" if event.is_open else "None: never sent"


def request_preview(
    event: ConversionEvent, attempts: Sequence[Attempt]
) -> RequestPreview:
    """What was sent to LinkedIn about the event, or would be sent now."""
    if event.is_open:
        return _would_be_sent(event)
    if attempts:
        no_value = (
            NO_CURRENCY if attempts[0].sent_value and _lacks_currency(event) else None
        )
        return RequestPreview(
            _text(_as_sent(event, attempts[0])), was_sent=True, no_value=no_value
        )
    return RequestPreview(nothing=_why_not(State(event.state), event.reason))


def _as_sent(event: ConversionEvent, attempt: Attempt) -> Conversion:
    digest = hash_of(bytes(attempt.sent_hashes), event.pk) or "(no longer kept)"
    conversion = Conversion(
        attempt.linkedin_id, event.happened_at, event.event_id, digest
    )
    if attempt.sent_value and event.crm_event is not None:
        return conversion._replace(
            amount=event.crm_event.amount, currency=event.crm_event.currency
        )
    return conversion


def _would_be_sent(event: ConversionEvent) -> RequestPreview:
    row = selection.row_of(event)
    if event.is_test:
        return RequestPreview(_text(selection.test_conversion(event.rule, row)))
    checked = selection.EligibilityCheck(event.rule, now=database_now()).check(row)
    if isinstance(checked, Sendable):
        no_value = (
            NO_CURRENCY if event.rule.sends_value and _lacks_currency(event) else None
        )
        return RequestPreview(_text(checked.conversion), no_value=no_value)
    return RequestPreview(nothing=_why_not(checked.state, checked.reason))


def _lacks_currency(event: ConversionEvent) -> bool:
    crm_event = event.crm_event
    return (
        crm_event is not None
        and crm_event.amount is not None
        and not crm_event.currency
    )


def _why_not(state: State, reason: str) -> Explanation:
    return REASONS.get(reason, STATES[state])  # type: ignore[call-overload, no-any-return]


def _text(conversion: Conversion) -> str:
    return json.dumps(payload.build(conversion), indent=2)
