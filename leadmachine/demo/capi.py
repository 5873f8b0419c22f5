"""The demo company's connection to the sandbox, its conversion rules, and conversion events in every state."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings

from capi import services
from capi.delivery import planning
from capi.delivery.sent_hashes import pack_hashes
from capi.linkedin.identity import email_sha256
from capi.models import (
    Attempt,
    Connection,
    ConversionEvent,
    ConversionRule,
    CrmEventName,
    EarlierAttempt,
)
from capi.models.choices import STATES_THAT_HOLD_ONCE, Reason, State
from crm.models import Company, CrmEvent
from crm.models.roles import Role
from leadmachine.demo import people
from leadmachine.demo.crm import DAYS

# The connection and the rules

TOKEN: Final = "AQX-northwind-demo-token-for-the-sandbox-7Q4w"  # noqa: S105 - the sandbox accepts any well-formed one
FIVE: Final = {
    CrmEventName.LEAD_CREATED: ("Lead form sent", "104011"),
    CrmEventName.LEAD_QUALIFIED: ("Qualified lead", "104012"),
    CrmEventName.DEAL_CREATED: ("Offer requested", "104013"),
    CrmEventName.DEAL_WON: ("Purchase", "104014"),
    CrmEventName.DEAL_LOST: ("Deal lost (attribution only)", "104015"),
}
# The sandbox answers 403 to it (capi/linkedin/sandbox/scenarios.py).
FORBIDDEN_ID: Final = "403403"


@dataclass(frozen=True, slots=True)
class Rules:
    """The five rules that work, one that LinkedIn has started to refuse, and one that was switched off."""

    five: dict[str, ConversionRule]
    refused: ConversionRule
    old: ConversionRule


def connect(company: Company, now: datetime) -> Rules:
    """Save the token and the rules, dated a few days before the first lead."""
    admin = people.member(company, Role.ADMIN)
    services.save_token(
        company=company, token=TOKEN, user=admin, ad_account_id="512345678"
    )
    start = now - timedelta(days=DAYS + 3)
    Connection.objects.for_company(company).update(token_saved_at=start)
    five = {
        event: _rule(company, event, name, number)
        for event, (name, number) in FIVE.items()
    }
    refused = _rule(
        company,
        CrmEventName.DEAL_CREATED,
        "Offer requested, agency account",
        FORBIDDEN_ID,
    )
    old = _rule(company, CrmEventName.DEAL_LOST, "Deal lost, old rule", "98761")
    ConversionRule.objects.for_company(company).update(created_at=start)
    return Rules({str(event): rule for event, rule in five.items()}, refused, old)


def _rule(
    company: Company, crm_event: CrmEventName, name: str, linkedin_id: str
) -> ConversionRule:
    rule = ConversionRule(
        company=company, crm_event=crm_event, name=name, linkedin_id=linkedin_id
    )
    rule.send_value = crm_event != CrmEventName.DEAL_LOST  # as the rule form advises
    return services.save_rule(rule=rule)


# The events: most were sent, and there are a few of every other outcome.

HELD = 5  # events of the rule that LinkedIn has started to refuse
# Events of the rule that was switched off, the last two before they could be sent.
OF_OLD_RULE = 4
TOO_OLD = "Conversion time should be within 90 days and not exceed current time."
NOT_TAKEN = "ERROR :: /conversion :: conversion does not take this event"
FORBIDDEN = "No ad accounts found"


def fill(company: Company, rules: Rules, now: datetime, dice: random.Random) -> None:
    """Plan the company's CRM events and write an outcome for each."""
    _plan(company)
    of_old_rule = (
        ConversionEvent.objects.filter(rule=rules.old)
        .order_by("happened_at")
        .values_list("pk", flat=True)
    )
    ConversionEvent.objects.filter(pk__in=of_old_rule[OF_OLD_RULE:]).delete()
    events = _chronological_events(company)
    writer = Writer(now, dice)
    _settle_expired([event for event in events if event.state == State.EXPIRED], writer)
    _settle_waiting([event for event in events if event.state == State.WAITING], writer)
    _settle_skipped([event for event in events if event.state == State.SKIPPED])
    _settle_pending(
        [event for event in events if event.state == State.PENDING], rules, writer
    )
    writer.write(events)
    _pause(rules)


def _plan(company: Company) -> None:
    newest_first = (
        CrmEvent.objects.for_company(company)
        .order_by("-pk")
        .values_list("pk", "kind", "lead", "deal")
    )
    first = {tuple(subject): pk for pk, *subject in newest_first}
    # These first, so that the later one of two equal events is skipped.
    planning.plan(list(first.values()))
    planning.plan([pk for pk, *_ in newest_first])


def _chronological_events(company: Company) -> list[ConversionEvent]:
    """Return the planned events with new ids: a log is read by id, so ids must follow time."""
    events = list(
        ConversionEvent.objects.for_company(company)
        .select_related("rule", "lead")
        .order_by("happened_at")
    )
    for event, pk in zip(events, sorted(event.pk for event in events), strict=True):
        event.pk = pk
    return events


@dataclass(slots=True)
class Writer:
    """Settles events in memory, then writes all of them and their attempts at once."""

    now: datetime
    dice: random.Random
    attempts: list[Attempt] = field(default_factory=list)
    earlier: list[tuple[ConversionEvent, Attempt]] = field(default_factory=list)

    def accept(self, event: ConversionEvent) -> None:
        self.attempt(event, 201)
        self.end(event, State.ACCEPTED)

    def attempt(
        self,
        event: ConversionEvent,
        status: int,
        message: str = "",
        *,
        after_seconds: float = 0,
    ) -> None:
        """Add a request for this event only, `after_seconds` after it happened."""
        if event.last_attempt is not None:
            self.earlier.append((event, event.last_attempt))
        assert event.lead is not None
        event.last_attempt = Attempt(
            company_id=event.company_id,
            rule=event.rule,
            linkedin_id=event.rule.linkedin_id,
            sent_value=event.rule.sends_value,
            api_version=settings.LINKEDIN_API_VERSION,
            started_at=event.happened_at
            + timedelta(seconds=after_seconds + self.dice.uniform(0.3, 2)),
            duration_ms=self.dice.randrange(90, 380),
            http_status=status,
            message=message,
            sent_hashes=pack_hashes([(event.pk, email_sha256(event.lead.email) or "")]),
        )
        self.attempts.append(event.last_attempt)
        event.http_status, event.message = status, message
        event.attempts += 1

    def end(
        self,
        event: ConversionEvent,
        state: State,
        reason: Reason = Reason.NONE,
        *,
        at: datetime | None = None,
    ) -> None:
        """Set the event's final state."""
        event.state, event.reason, event.next_attempt_at = state, reason, None
        event.settled_at = at or (
            event.last_attempt.started_at if event.last_attempt else event.happened_at
        )
        if state not in STATES_THAT_HOLD_ONCE:
            event.once_key = None

    def write(self, events: Sequence[ConversionEvent]) -> None:
        self.attempts.sort(key=lambda attempt: attempt.started_at)
        Attempt.objects.bulk_create(self.attempts)
        # Deleted and inserted again rather than updated: one statement for all of them.
        ConversionEvent.objects.filter(pk__in=[event.pk for event in events]).delete()
        for event in events:
            event.created_at = event.happened_at
            # Sets last_attempt_id, which is known only now.
            event.last_attempt = event.last_attempt
        ConversionEvent.objects.bulk_create(events)
        EarlierAttempt.objects.bulk_create(
            EarlierAttempt(event=event, attempt=attempt)
            for event, attempt in self.earlier
        )


def _settle_expired(events: Sequence[ConversionEvent], writer: Writer) -> None:
    """Date events that were too old when they were planned: they expired when they became too old, not just now."""
    for event in events:
        too_old_at = event.happened_at + timedelta(days=settings.EVENT_MAX_AGE_DAYS)
        writer.end(event, State.EXPIRED, Reason.TOO_OLD, at=too_old_at)


def _settle_waiting(events: Sequence[ConversionEvent], writer: Writer) -> None:
    """Settle events of leads without an address: one lead was deleted, the others wait."""
    deleted_lead = events[0].lead
    assert deleted_lead is not None
    for event in events:
        if event.lead == deleted_lead:
            writer.end(
                event,
                State.CANCELLED,
                Reason.LEAD_DELETED,
                at=event.happened_at + timedelta(days=3),
            )
            event.lead = event.deal = None
    deleted_lead.delete()


def _settle_skipped(events: Sequence[ConversionEvent]) -> None:
    for event in events:
        event.settled_at = event.happened_at


def _settle_pending(
    events: Sequence[ConversionEvent], rules: Rules, writer: Writer
) -> None:
    held = [event for event in events if event.rule == rules.refused][-HELD:]
    cancelled = [event for event in events if event.rule == rules.old][-2:]
    apart = held + cancelled
    ordinary = [event for event in events if event not in apart]
    writer.attempt(held[0], 403, FORBIDDEN)
    # A pause uses up no attempt.
    held[0].attempts, held[0].reason = 0, Reason.RULE_FORBIDDEN
    for event in cancelled:
        writer.end(
            event,
            State.CANCELLED,
            Reason.RULE_INACTIVE,
            at=event.happened_at + timedelta(minutes=5),
        )
    _refuse(ordinary[40], 400, TOO_OLD, writer)
    _refuse(ordinary[-30], 422, NOT_TAKEN, writer)
    _give_up(ordinary[len(ordinary) // 2], writer)
    _schedule_retry(ordinary[-1], writer)
    for event in ordinary:
        if event.last_attempt is None:
            writer.accept(event)


def _refuse(event: ConversionEvent, status: int, message: str, writer: Writer) -> None:
    writer.attempt(event, status, message)
    writer.end(event, State.REJECTED, Reason.DATA_REFUSED)


def _give_up(event: ConversionEvent, writer: Writer) -> None:
    """LinkedIn failed for three days: use up every retry that the settings allow."""
    waited, delays = 0.0, iter(settings.RETRY_SECONDS)
    while waited < settings.RETRY_WINDOW_SECONDS:
        writer.attempt(event, 503, "Service Unavailable", after_seconds=waited)
        waited += next(delays, settings.RETRY_LAST_SECONDS)
    writer.end(event, State.EXHAUSTED, Reason.SERVER_TROUBLE)


def _schedule_retry(event: ConversionEvent, writer: Writer) -> None:
    """LinkedIn has just failed: the event is sent automatically soon after the first start."""
    writer.attempt(event, 503, "Service Unavailable")
    event.reason = Reason.SERVER_TROUBLE
    event.next_attempt_at = writer.now + timedelta(seconds=settings.RETRY_SECONDS[1])


def _pause(rules: Rules) -> None:
    first_refusal = Attempt.objects.get(rule=rules.refused, http_status=403).started_at
    ConversionRule.objects.filter(pk=rules.refused.pk).update(
        is_paused=True,
        paused_reason=Reason.RULE_FORBIDDEN,
        paused_message=FORBIDDEN,
        paused_at=first_refusal,
    )
    ConversionRule.objects.filter(pk=rules.old.pk).update(is_active=False)
