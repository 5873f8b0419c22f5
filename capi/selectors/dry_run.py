"""Dry run: the exact request for a lead or a deal, and whether it would be sent. Nothing is sent or written.

It uses the same eligibility check, payload and client as delivery, so the results can't differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from capi.delivery import selection
from capi.delivery.deduplication import HANDS_OVER
from capi.delivery.http_session import client
from capi.delivery.persons import event_of_person
from capi.delivery.selection import NotSendable, Row
from capi.linkedin import payload
from capi.linkedin.identity import email_sha256, normalise_email
from capi.linkedin.payload import Conversion
from capi.models import (
    Connection,
    ConversionEvent,
    ConversionEventQuerySet,
    ConversionRule,
)
from capi.models.choices import OPEN_STATES, Frequency, Reason, State
from capi.models.functions import database_now
from capi.selectors.explanations.dry_run import (
    NO_CURRENCY,
    NO_DEAL,
    RULE_IS_OFF,
    WOULD_BE_SENT,
)
from capi.selectors.explanations.explain import explain
from capi.selectors.explanations.reasons import REASONS
from capi.selectors.explanations.states import STATES, Explanation
from crm.models import Deal, Lead


@dataclass(frozen=True, slots=True)
class OutgoingRequest:
    """The request as it would be sent, except for the token."""

    method: str
    url: str
    headers: Sequence[tuple[str, str]]
    body: str


@dataclass(frozen=True, slots=True)
class DryRun:
    """The outcome that an event of the rule would have. `event` is the open event, if there already is one.

    `taken_by` is the earlier event, if the rule counts once and has already counted. `address` is the person's, in the
    form that is hashed. If `is_refused`, `request` is the one that would be sent otherwise. `no_value` explains why the
    request has no value although the deal has an amount.
    """

    words: Explanation
    address: str = ""
    sha256: str = ""
    request: OutgoingRequest | None = None
    event: ConversionEvent | None = None
    taken_by: ConversionEvent | None = None
    is_refused: bool = False
    no_value: Explanation | None = None


def dry_run(
    rule: ConversionRule, lead: Lead, deal: Deal | None, connection: Connection | None
) -> DryRun:
    """What the rule would send about this lead, or about this deal of the lead."""
    if lead.erased_at is not None:
        return DryRun(REASONS[Reason.ERASED])
    run = DryRun(
        NO_DEAL,
        address=normalise_email(lead.email),
        sha256=email_sha256(lead.email) or "",
    )
    if rule.is_about_deal and deal is None:
        return run
    own = _own_events(rule, lead, deal)
    event = own.filter(state__in=OPEN_STATES).order_by("pk").first()
    row = selection.row_of(event) if event else _row(rule, lead, deal)
    check = selection.EligibilityCheck(rule, now=database_now())
    checked = check.check(row)
    run = replace(run, event=event, no_value=_explain_no_value(rule, row))
    if isinstance(checked, NotSendable):
        request = _request_if_eligible(check, lead, row, checked)
        return replace(
            run,
            request=request,
            words=_refusal(checked, is_planned=event is not None),
            is_refused=True,
        )
    run = replace(run, request=_outgoing(checked.conversion))
    taken_by = None if event else _counted_by(rule, own, lead)
    words = REASONS[Reason.ALREADY_COUNTED] if taken_by else _expected(rule, connection)
    return replace(run, words=words, taken_by=taken_by)


def _explain_no_value(rule: ConversionRule, row: Row) -> Explanation | None:
    has_no_currency = rule.sends_value and row.amount is not None and not row.currency
    return NO_CURRENCY if has_no_currency else None


def _request_if_eligible(
    check: selection.EligibilityCheck, lead: Lead, row: Row, refused: NotSendable
) -> OutgoingRequest | None:
    """The request that would be made if the event were eligible, None if it can't be built."""
    digest = email_sha256(lead.email)
    if digest is None or refused.reason == Reason.DATA_REFUSED:
        return None
    return _outgoing(check.conversion(row, digest))


def _refusal(refused: NotSendable, *, is_planned: bool) -> Explanation:
    if refused.reason == Reason.RULE_INACTIVE and not is_planned:
        return RULE_IS_OFF
    return REASONS.get(refused.reason, STATES[refused.state])


def _own_events(
    rule: ConversionRule, lead: Lead, deal: Deal | None
) -> ConversionEventQuerySet:
    events = (
        ConversionEvent.objects.for_company(rule.company_id)
        .counted()
        .filter(rule=rule, lead=lead)
    )
    return events.filter(deal=deal) if rule.is_about_deal else events


def _counted_by(
    rule: ConversionRule, own: ConversionEventQuerySet, lead: Lead
) -> ConversionEvent | None:
    """The earlier event with which the rule counted this lead, deal or person, None if it hasn't."""
    if rule.counts_people:
        return event_of_person(rule, lead.email)
    if rule.frequency == Frequency.ONCE:
        return own.filter(~HANDS_OVER).exclude(once_key=None).first()
    return None


def _row(rule: ConversionRule, lead: Lead, deal: Deal | None) -> Row:
    """The event as if it happened now."""
    is_about_deal = rule.is_about_deal and deal is not None
    # As long as a real one, which is created with the event.
    return Row(
        pk=0,
        event_id=f"lm-{0:032x}-{rule.pk}",
        happened_at=database_now(),
        attempts=0,
        reason="",
        last_attempt_id=None,
        lead_id=lead.pk,
        deal_id=deal.pk if deal else None,
        email=lead.email if lead.share_with_ad_platforms else None,
        amount=deal.amount if deal and is_about_deal else None,
        currency=deal.currency if deal and is_about_deal else None,
    )


def _expected(rule: ConversionRule, connection: Connection | None) -> Explanation:
    words = explain(ConversionEvent(rule=rule, state=State.PENDING), connection)
    return WOULD_BE_SENT if words == STATES[State.PENDING] else words


def _outgoing(conversion: Conversion) -> OutgoingRequest:
    body = payload.encode([conversion])
    request = client().prepared(body=body, batch=False)
    url = request.url or ""
    headers = {
        "Host": urlsplit(url).netloc,
        **request.headers,
        "Authorization": "Bearer ••••",
    }
    return OutgoingRequest(
        request.method or "", url, list(headers.items()), body.decode()
    )
