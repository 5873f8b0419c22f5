"""What a person asks of the rules: save, switch, resume, delete, test. Each is one transaction."""

from typing import Any

from django.db import IntegrityError, transaction

from capi.delivery import lane
from capi.delivery.wakeup import wake_on_commit
from capi.models import ConversionEvent, ConversionRule
from capi.models.choices import Reason
from capi.services.connection import NotConnected, connection_of, resume_rules
from crm.models import AuditAction, User
from crm.services import audit

# What LinkedIn has told of a rule belongs to its id there, and goes with it.
NOTHING_TOLD: dict[str, object] = {
    "linkedin_type": "",
    "linkedin_method": "",
    "linkedin_enabled": None,
    "linkedin_read_at": None,
}
RULE_FIELDS = ("crm_event", "linkedin_id", "name", "is_active", "send_value", "frequency")


def resume_rule(*, rule: ConversionRule) -> None:
    """Let a rule go on that LinkedIn's answer paused; what it held goes out, oldest first."""
    with transaction.atomic():
        lane.request_alert_check(rule.company_id)
        resume_rules(ConversionRule.objects.filter(pk=rule.pk))
        audit.record(company=rule.company_id, action=AuditAction.RULE_RESUMED, about=rule)
        wake_on_commit(rule.company_id)


def save_rule(*, rule: ConversionRule) -> ConversionRule:
    """Write a new or edited rule. An edited one goes on: what LinkedIn refused may be what was mended.

    Raises ValidationError where the company has an active rule for this CRM event and LinkedIn id already.
    """
    rule.full_clean()
    with transaction.atomic():
        connection_of(rule.company)
        lane.request_alert_check(rule.company_id)
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
        lane.request_alert_check(rule.company_id)
        _write_rule(rule, update_fields=["is_active"])
        details: audit.Details = {"fields": ["is_active"], "active": active}
        audit.record(company=rule.company_id, action=AuditAction.RULE_CHANGED, about=rule, details=details)
        wake_on_commit(rule.company_id)


def delete_rule(*, rule: ConversionRule) -> None:
    """Delete a rule. Its log stays; what waits for it is cancelled."""
    with transaction.atomic():
        lane.request_alert_check(rule.company_id)
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
