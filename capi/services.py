"""What a person asks of the connection and its rules. Each is one verb, one transaction, and the wake-up it needs."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from capi import vault
from capi.models import Connection, ConversionEvent, ConversionRule, check_linkedin_id
from capi.pipeline import by_hand, lane
from capi.pipeline.plan import chunks
from capi.publisher import wake_on_commit
from capi.reasons import Reason
from crm import audit
from crm.models import AuditAction, Company, User

TOKEN_LENGTH = range(20, 2049)
STEP_SECONDS: Final = 5.0  # of work on many events: then the person is told how far it is, and no proxy gives up
# What LinkedIn has told of a rule belongs to its id there, and goes with it.
NOTHING_TOLD: dict[str, object] = {
    "linkedin_type": "",
    "linkedin_method": "",
    "linkedin_enabled": None,
    "linkedin_read_at": None,
}
RULE_FIELDS = ("crm_event", "linkedin_id", "name", "is_active", "send_value", "frequency")
ACCOUNT_PREFIX = "urn:li:sponsoredAccount:"

AWAKE: dict[str, object] = {
    "next_attempt_at": None,
    "next_look_at": None,
    "failures_in_a_row": 0,
    "throttles_in_a_row": 0,
}
GOING: dict[str, object] = AWAKE | {
    "is_paused": False,
    "paused_reason": Reason.NONE,
    "paused_at": None,
    "paused_version": "",
    "resting_since": None,
    "rest_cause": "",
}


class NotConnected(Exception):
    """The company has no access token yet, so that nothing can be sent. Save one first."""


def connection_of(company: Company) -> Connection:
    """The company's connection; made on first use, without a token."""
    return Connection.objects.get_or_create(company=company)[0]


def save_token(
    *,
    company: Company,
    token: str,
    user: User | None = None,
    ad_account_id: str = "",
    expires_on: date | None = None,
) -> Connection:
    """Seal and store the token, and resume what the old one held up. An empty `ad_account_id` leaves it as it is.

    `expires_on` is the day on which this token ends, where it has one.

    Raises ValidationError (which never repeats the value) where the token or the account id can't be one.
    """
    token = clean_token(token)
    ad_account_id = clean_ad_account_id(ad_account_id)
    with transaction.atomic():
        connection = connection_of(company)
        changes = {"ad_account_id": ad_account_id} if ad_account_id else {}
        Connection.objects.filter(pk=connection.pk).update(
            sealed_token=vault.seal(company_id=company.pk, token=token),
            token_last_four=token[-4:],
            token_version=F("token_version") + 1,
            token_saved_at=Now(),
            token_saved_by=user,
            token_expires_on=expires_on,
            **changes,
            **GOING,
        )
        # A 403 may have been about the person who made the old token.
        _resume(ConversionRule.objects.for_company(company).filter(paused_reason=Reason.RULE_FORBIDDEN))
        details: audit.Details = {"fields": ["token", *changes]}
        audit.record(company=company, action=AuditAction.TOKEN_SAVED, about=connection, details=details, actor=user)
        wake_on_commit(company.pk)
    connection.refresh_from_db()
    return connection


def save_ad_account(*, company: Company, ad_account_id: str) -> Connection:
    """Keep the id of the ad account, as digits or as its whole URN. Raises ValidationError where it can't be one."""
    ad_account_id = clean_ad_account_id(ad_account_id)
    with transaction.atomic():
        connection = connection_of(company)
        connection.ad_account_id = ad_account_id
        connection.save(update_fields=["ad_account_id"])
        details: audit.Details = {"fields": ["ad_account_id"]}
        audit.record(company=company, action=AuditAction.AD_ACCOUNT_SAVED, about=connection, details=details)
    return connection


def remove_token(*, company: Company) -> None:
    """Forget the token. Events go on being planned, and wait for the next one."""
    with transaction.atomic():
        Connection.objects.for_company(company).update(
            sealed_token="", token_last_four="", token_version=F("token_version") + 1, token_saved_at=None,
            token_saved_by=None, token_expires_on=None, **GOING,
        )  # fmt: skip
        audit.record(company=company, action=AuditAction.TOKEN_REMOVED, about=connection_of(company))


def resume_connection(*, company: Company) -> None:
    """Let a connection that is paused, or rests, go on with the token that it has.

    What was tried before and waits for its next try goes out now, too: the oldest first, as many as can be woken within
    STEP_SECONDS. The others keep to the time that they have.
    """
    with transaction.atomic():
        own = Connection.objects.for_company(company)
        # That LinkedIn is in trouble only LinkedIn's answer ends: a lane that is woken keeps it in mind.
        if not own.filter(is_paused=True).update(**GOING):
            own.update(**AWAKE)
        audit.record(company=company, action=AuditAction.CONNECTION_RESUMED, about=connection_of(company))
    until = time.monotonic() + STEP_SECONDS
    while by_hand.hurry(company_id=company.pk) and time.monotonic() < until:
        pass
    wake_on_commit(company.pk)  # once they are due: a quick worker would find nothing


def resume_rule(*, rule: ConversionRule) -> None:
    """Let a rule go on that LinkedIn's answer paused; what it held goes out, oldest first."""
    with transaction.atomic():
        lane.tell(rule.company_id)
        _resume(ConversionRule.objects.filter(pk=rule.pk))
        audit.record(company=rule.company_id, action=AuditAction.RULE_RESUMED, about=rule)
        wake_on_commit(rule.company_id)


def save_rule(*, rule: ConversionRule) -> ConversionRule:
    """Write a new or edited rule. An edited one goes on: what LinkedIn refused may be what was mended.

    Raises ValidationError where the company has an active rule for this CRM event and LinkedIn id already.
    """
    rule.full_clean()
    with transaction.atomic():
        connection_of(rule.company)
        lane.tell(rule.company_id)
        changed = _changed_fields(rule)
        rule.is_paused, rule.paused_reason, rule.paused_message, rule.paused_at = False, Reason.NONE, "", None
        if not rule._state.adding and "linkedin_id" in changed:
            for field, nothing in NOTHING_TOLD.items():
                setattr(rule, field, nothing)
        action = AuditAction.RULE_CREATED if rule._state.adding else AuditAction.RULE_CHANGED
        _write_rule(rule)
        audit.record(company=rule.company_id, action=action, about=rule, details={"fields": changed})
        wake_on_commit(rule.company_id)
    return rule


def set_rule_active(*, rule: ConversionRule, active: bool) -> None:
    """Switch a rule on or off. Events that wait for a rule which is off are cancelled when their turn comes.

    Raises ValidationError where switching it on would make it the second for its CRM event and LinkedIn id.
    """
    rule.is_active = active
    rule.validate_constraints()
    with transaction.atomic():
        lane.tell(rule.company_id)
        _write_rule(rule, update_fields=["is_active"])
        details: audit.Details = {"fields": ["is_active"], "active": active}
        audit.record(company=rule.company_id, action=AuditAction.RULE_CHANGED, about=rule, details=details)
        wake_on_commit(rule.company_id)


def delete_rule(*, rule: ConversionRule) -> None:
    """Delete a rule. Its log stays; what waits for it is cancelled."""
    with transaction.atomic():
        lane.tell(rule.company_id)
        rule.delete()
        audit.record(company=rule.company_id, action=AuditAction.RULE_DELETED, about=rule)
        wake_on_commit(rule.company_id)


def send_test_event(*, rule: ConversionRule, user: User | None = None) -> ConversionEvent:
    """Send one test event through the pipeline, ahead of the queue. It gets one try and counts nowhere.

    Raises NotConnected where there is no token to send it with.
    """
    if not connection_of(rule.company).has_token:
        raise NotConnected("Save an access token first (step 1), then press play again.")
    with transaction.atomic():
        event = ConversionEvent.objects.create(company_id=rule.company_id, rule=rule, is_test=True)
        details: audit.Details = {"event": event.pk}
        audit.record(company=rule.company_id, action=AuditAction.TEST_SENT, about=rule, details=details, actor=user)
        wake_on_commit(rule.company_id)
    return event


@dataclass(frozen=True, slots=True)
class Done:
    """How many events followed. `reached` is the id behind which some are left to be asked for, None where none are."""

    events: int
    reached: int | None = None


def retry_events(*, company: Company, pks: Sequence[int], about: ConversionEvent | None = None) -> Done:
    """Put those of the company's events back into the queue that may be sent again, for about STEP_SECONDS.

    `pks` are in ascending order.
    """
    return _in_chunks(by_hand.retry, AuditAction.RETRY, company, pks, about)


def cancel_events(*, company: Company, pks: Sequence[int], about: ConversionEvent | None = None) -> Done:
    """Call off those of the company's events that may still be sent, for about STEP_SECONDS.

    `pks` are in ascending order. It waits for the request that is under way, at most SEND_TIMEOUT_SECONDS and a little:
    what LinkedIn takes in it stays sent.
    """
    return _in_chunks(by_hand.cancel, AuditAction.CANCEL, company, pks, about)


def _in_chunks(
    do: Callable[..., int], action: AuditAction, company: Company, pks: Sequence[int], about: ConversionEvent | None
) -> Done:
    """Short transactions, each on record, so that deliveries and saves go on in between."""
    total, until = 0, time.monotonic() + STEP_SECONDS
    for chunk in chunks(pks):
        with transaction.atomic():
            done = do(company_id=company.pk, pks=chunk)
            if done:
                details: audit.Details = {"events": done, "from": chunk[0], "to": chunk[-1]}
                audit.record(company=company, action=action, about=about, details={} if about else details)
                wake_on_commit(company.pk)
        total += done
        if time.monotonic() >= until and chunk[-1] != pks[-1]:
            return Done(total, reached=chunk[-1])
    return Done(total)


def clean_token(token: str) -> str:
    """The token without surrounding white space. Raises ValidationError, which never repeats it."""
    token = token.strip()
    if not token:
        raise ValidationError("Paste the access token from Campaign Manager.", code="empty")
    if len(token) not in TOKEN_LENGTH:
        raise ValidationError(
            f"An access token has {TOKEN_LENGTH.start} to {TOKEN_LENGTH.stop - 1} characters. "
            "Copy it again, whole and alone.",
            code="length",
        )
    if not re.fullmatch(r"[!-~]+", token):
        raise ValidationError(
            "An access token is one line of plain letters, digits and signs. Copy it again, whole and alone.",
            code="characters",
        )
    return token


def clean_ad_account_id(text: str) -> str:
    """The bare account id from what was pasted, "" for nothing. Raises ValidationError."""
    bare = text.strip().removeprefix(ACCOUNT_PREFIX)
    if bare:
        check_linkedin_id(bare)
    return bare


def _changed_fields(rule: ConversionRule) -> list[str]:
    """What differs from the rule as it stands in the database; everything for a new one."""
    now: dict[str, object] = ConversionRule.objects.filter(pk=rule.pk).values(*RULE_FIELDS).first() or {}
    return [field for field in RULE_FIELDS if now.get(field) != getattr(rule, field)]


def _write_rule(rule: ConversionRule, **options: Any) -> None:
    # Two people may save the same rule at once: both pass the form's check, and the database tells the second.
    try:
        with transaction.atomic():
            rule.save(**options)
    except IntegrityError:
        rule.validate_constraints()
        raise


def _resume(rules: QuerySet[ConversionRule]) -> None:
    rules.update(is_paused=False, paused_reason=Reason.NONE, paused_message="", paused_at=None)
