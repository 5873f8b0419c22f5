"""Save, switch, resume, delete and test rules. Each is one transaction."""

from collections.abc import Collection, Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from capi.delivery import duplicates, lane
from capi.delivery.recall import RequestInFlight, is_in, recall_unsent
from capi.delivery.wakeup import wake_on_commit
from capi.models import ConversionEvent, ConversionRule
from capi.models.choices import Frequency, Reason
from capi.services.connection import (
    NotConnected,
    connection_of,
    refuse_while_all_is_paused,
    resume_rules,
)
from crm.models import AuditAction, User
from crm.services import audit
from postgresql.bounds import LONG_SECONDS, statements_may_take

# LinkedIn's data about a rule belongs to its id there, so a new id clears it.
NO_LINKEDIN_DATA: dict[str, object] = {
    "linkedin_type": "",
    "linkedin_method": "",
    "linkedin_enabled": None,
    "linkedin_read_at": None,
}
RESUMED: dict[str, object] = {
    "is_paused": False,
    "paused_reason": Reason.NONE,
    "paused_message": "",
    "paused_at": None,
}
DELETED = "Nothing was saved: someone has just deleted this rule."
RULE_FIELDS = (
    "crm_event",
    "linkedin_id",
    "name",
    "is_active",
    "send_value",
    "frequency",
)


def resume_rule(*, rule: ConversionRule) -> None:
    """Resume a rule that LinkedIn's response paused. Its events on hold are sent, oldest first."""
    with transaction.atomic():
        lane.request_alert_check(rule.company_id)
        resume_rules(ConversionRule.objects.filter(pk=rule.pk))
        audit.record(
            company=rule.company_id, action=AuditAction.RULE_RESUMED, about=rule
        )
        wake_on_commit(rule.company_id)


def save_rule(
    *, rule: ConversionRule, fields: Collection[str] = RULE_FIELDS
) -> ConversionRule:
    """Save a new or edited rule. Editing resumes it: the edit may fix what LinkedIn rejected.

    For an edited rule, only these `fields` are written: if someone has switched it off meanwhile, it stays off. Raises
    ValidationError if it has been deleted, or if another active rule has the same CRM event and LinkedIn id.
    """
    rule.full_clean()
    with transaction.atomic():
        connection_of(rule.company)
        requests = recall_unsent([rule.company_id])
        lane.request_alert_check(rule.company_id)
        is_new = rule._state.adding
        if not is_new and not ConversionRule.objects.filter(pk=rule.pk).exists():
            raise ValidationError(DELETED)
        changed = _changed_fields(rule, fields)
        written = {
            **RESUMED,
            **(NO_LINKEDIN_DATA if not is_new and "linkedin_id" in changed else {}),
        }
        for field, value in written.items():
            setattr(rule, field, value)
        action = AuditAction.RULE_CREATED if is_new else AuditAction.RULE_CHANGED
        _write_rule(rule, **({} if is_new else {"update_fields": [*changed, *written]}))
        if not is_new and {"frequency", "crm_event"} & set(changed):
            _assign_keys(rule, requests)
        audit.record(
            company=rule.company_id,
            action=action,
            about=rule,
            details={"fields": changed},
        )
        wake_on_commit(rule.company_id)
    return rule


def set_rule_active(*, rule: ConversionRule, active: bool) -> None:
    """Switch a rule on or off. Pending events of a rule that is off are cancelled when they become due.

    Raises ValidationError if another active rule has the same CRM event and LinkedIn id.
    """
    rule.is_active = active
    rule.validate_constraints()
    with transaction.atomic():
        recall_unsent([rule.company_id])
        lane.request_alert_check(rule.company_id)
        _write_rule(rule, update_fields=["is_active"])
        details: audit.Details = {"fields": ["is_active"], "active": active}
        audit.record(
            company=rule.company_id,
            action=AuditAction.RULE_CHANGED,
            about=rule,
            details=details,
        )
        wake_on_commit(rule.company_id)


def delete_rule(*, rule: ConversionRule) -> None:
    """Delete a rule. Its events stay in the log; the pending ones are cancelled."""
    with transaction.atomic():
        recall_unsent([rule.company_id])
        lane.request_alert_check(rule.company_id)
        rule.delete()
        audit.record(
            company=rule.company_id, action=AuditAction.RULE_DELETED, about=rule
        )
        wake_on_commit(rule.company_id)


def send_test_event(
    *, rule: ConversionRule, user: User | None = None
) -> ConversionEvent:
    """Send one test event through the pipeline, ahead of the queue. It gets one attempt and is left out of all figures.

    Raises NotConnected if there is no token, and SendingPaused.
    """
    if not connection_of(rule.company).has_token:
        raise NotConnected(
            "Save an access token in step 1 first, then press play again."
        )
    refuse_while_all_is_paused(rule.company)
    with transaction.atomic():
        event = ConversionEvent.objects.create(
            company_id=rule.company_id, rule=rule, is_test=True
        )
        details: audit.Details = {"event": event.pk}
        audit.record(
            company=rule.company_id,
            action=AuditAction.TEST_SENT,
            about=rule,
            details=details,
            actor=user,
        )
        wake_on_commit(rule.company_id)
    return event


@statements_may_take(LONG_SECONDS)
def _assign_keys(rule: ConversionRule, requests: Iterable[RequestInFlight]) -> None:
    if rule.frequency == Frequency.ONCE:
        duplicates.assign(rule, is_in(requests))


def _changed_fields(rule: ConversionRule, fields: Collection[str]) -> list[str]:
    """The fields that differ from the database: all of them for a new rule."""
    saved: dict[str, object] = (
        ConversionRule.objects.filter(pk=rule.pk).values(*RULE_FIELDS).first() or {}
    )
    return [field for field in fields if saved.get(field) != getattr(rule, field)]


def _write_rule(rule: ConversionRule, **options: Any) -> None:
    # Two people may save the same rule at once: both pass validation, and the database rejects the second.
    try:
        with transaction.atomic():
            rule.save(**options)
    except IntegrityError:
        rule.validate_constraints()
        raise
