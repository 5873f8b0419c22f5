"""Start, pause, resume and cancel backfills. Each is one transaction and leaves an audit entry."""

from collections.abc import Collection, Iterable
from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from capi.delivery import backfill as pipeline
from capi.delivery import cancellation
from capi.delivery.wakeup import wake_on_commit
from capi.models import Backfill, ConversionRule
from capi.models.choices import OUTCOMES_TO_SEND
from crm.models import AuditAction, User
from crm.models.job import AT_WORK, JobState
from crm.services import audit


def start(
    *, rule: ConversionRule, since: datetime, until: datetime, user: User | None = None
) -> Backfill:
    """Send the rule's past CRM events of [since, until), behind new events.

    Raises ValidationError if the rule is off, has an unfinished backfill, or nothing would be sent.
    """
    if not rule.is_active:
        raise ValidationError(f"{rule} is off. Switch it on first.")
    planned = pipeline.preview(rule, since=since, until=until)
    if not any(planned[outcome] for outcome in OUTCOMES_TO_SEND):
        raise ValidationError(f"{rule} has nothing to send in this period.")
    with transaction.atomic():
        backfill = _create(
            Backfill(
                company_id=rule.company_id,
                rule=rule,
                since=since,
                until=until,
                planned=planned,
                row_count=planned.total(),
                made_by=user,
            )
        )
        details: audit.Details = {
            "rule": rule.pk,
            "since": since.isoformat(),
            "until": until.isoformat(),
        }
        details["events"] = backfill.row_count
        _record(backfill, AuditAction.BACKFILL_STARTED, user, details)
        wake_on_commit(rule.company_id)
    return backfill


def start_all(
    *,
    rules: Iterable[ConversionRule],
    since: datetime,
    until: datetime,
    user: User | None = None,
) -> tuple[list[Backfill], list[str]]:
    """Start a backfill for each rule, where possible. Returns the started ones, and why the others were not started."""
    started, refused = [], []
    for rule in rules:
        try:
            started.append(start(rule=rule, since=since, until=until, user=user))
        except ValidationError as error:
            refused += error.messages
    return started, refused


def pause(*, backfill: Backfill, user: User | None = None) -> bool:
    """Stop planning. Queued events, at most one batch, are still sent. Returns False if it was not running."""
    with transaction.atomic():
        return _change_state(
            backfill, AT_WORK, JobState.PAUSED, AuditAction.BACKFILL_PAUSED, user
        )


def resume(*, backfill: Backfill, user: User | None = None) -> bool:
    """Continue where it was paused. Returns False if it was not paused."""
    with transaction.atomic():
        wake_on_commit(backfill.company_id)
        return _change_state(
            backfill,
            [JobState.PAUSED],
            JobState.WAITING,
            AuditAction.BACKFILL_RESUMED,
            user,
        )


def cancel(*, backfill: Backfill, user: User | None = None) -> int | None:
    """End it for good and cancel its unsent events. Returns how many, or None if it had already ended."""
    with transaction.atomic():
        ended = cancellation.cancel_backfill(backfill)
        if ended is not None:
            _record(
                backfill,
                AuditAction.BACKFILL_CANCELLED,
                user,
                {"rule": backfill.rule_id, "cancelled": ended},
            )
        return ended


def _create(backfill: Backfill) -> Backfill:
    # Two people may start at the same time: the database rejects the second.
    try:
        with transaction.atomic():
            backfill.save()
    except IntegrityError:
        if Backfill.objects.filter(rule=backfill.rule).unfinished().exists():
            message = f"{backfill.rule} already has an unfinished backfill. Wait for it to end, or cancel it."
            raise ValidationError(message) from None
        raise
    return backfill


def _change_state(
    backfill: Backfill,
    old: Collection[str],
    new: str,
    action: AuditAction,
    user: User | None,
) -> bool:
    changed = bool(
        Backfill.objects.filter(pk=backfill.pk, state__in=old).update(state=new)
    )
    if changed:
        _record(backfill, action, user, {"rule": backfill.rule_id})
    return changed


def _record(
    backfill: Backfill, action: AuditAction, user: User | None, details: audit.Details
) -> None:
    audit.record(
        company=backfill.company_id,
        action=action,
        about=backfill,
        details=details,
        actor=user,
    )
