"""Evaluate a company: compare its state with its open alerts, once, however many workers try at the same time."""

from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from capi.alerts import notifications
from capi.alerts.conditions import Changes, Condition, compare, facts_of
from capi.alerts.detectors import measures_of
from capi.alerts.mail_choices import MailTopic, recipients
from capi.models import Alert, Connection, ConversionRule, Mail
from capi.models.choices import AlertKind, AlertResolution, MailKind

# Earlier after a change: a pause and its end request an evaluation.
EVERY: Final = timedelta(hours=1)
DUE: Final = Q(next_look_at=None) | Q(next_look_at__lte=Now())


def due_companies() -> list[int]:
    """The ids of companies that are due for evaluation."""
    return list(
        Connection.objects.filter(DUE)
        .order_by("pk")
        .values_list("company_id", flat=True)
    )


def evaluate(company_id: int, *, now: datetime) -> bool:
    """Open and close the company's alerts according to its state. Returns False if another worker just did.

    Counting comes first, to keep the transaction short, as it locks the connection's row. Pauses and dates are read
    inside the transaction, so a pause has its actual start, and no evaluation can overtake another.
    """
    counted = measures_of(company_id, now=now)
    with transaction.atomic():
        connection = _claim(company_id)
        if connection is None:
            return False
        rules: list[ConversionRule] = []
        if connection.company.is_active:
            rules = list(ConversionRule.objects.for_company(company_id).active())
        conditions: list[Condition] = []
        standing: set[int | None] = {rule.pk for rule in rules}
        if rules:
            today = _today(connection, now)
            conditions = [*counted, *facts_of(connection, rules, now=now, today=today)]
            if connection.has_token:
                standing.add(None)
        changes = compare(_open_alerts(company_id), conditions, standing=standing)
        write_changes(company_id, changes)
        if rules:
            notifications.write_weekly_mails(connection, now=now)
    return True


def _claim(company_id: int) -> Connection | None:
    """The connection, locked, or None if it is not due: if two workers try at once, the second gets None."""
    due = Connection.objects.for_company(company_id).filter(DUE)
    if not due.update(next_look_at=Now() + EVERY):
        return None
    return Connection.objects.for_company(company_id).select_related("company").get()


def _open_alerts(company_id: int) -> list[Alert]:
    return list(Alert.objects.for_company(company_id).still_open().order_by("pk"))


def _today(connection: Connection, now: datetime) -> date:
    return now.astimezone(ZoneInfo(connection.company.time_zone)).date()


# Write the changes: open and close alerts, and write a mail for each person who wants it, in one transaction.

# Kinds whose end is news. Anyone who moved a date or released events on hold knows already.
END_IS_NEWS: Final = frozenset(
    {
        AlertKind.CONNECTION_PAUSED,
        AlertKind.RULE_PAUSED,
        AlertKind.RESTING,
        AlertKind.FAILING,
        AlertKind.SILENT,
    }
)


def write_changes(company_id: int, changes: Changes) -> None:
    """Write the changes and their mails. Call it in the transaction that found the changes."""
    for alert, resolution in changes.closed:
        Alert.objects.filter(pk=alert.pk).update(closed_at=Now(), ending=resolution)
    opened = [_open(company_id, condition) for condition in changes.opened]
    over = [
        alert
        for alert, resolution in changes.closed
        if resolution == AlertResolution.FIXED and alert.kind in END_IS_NEWS
    ]
    if opened or over:
        people = recipients(company_id, MailTopic.ALERTS)
        _mail(
            [(alert, MailKind.CLOSED) for alert in over]
            + [(alert, MailKind.OPENED) for alert in opened],
            people,
        )


def _open(company_id: int, condition: Condition) -> Alert:
    return Alert.objects.create(
        company_id=company_id,
        kind=condition.kind,
        rule_id=condition.rule_id,
        marker=condition.marker,
        stage=condition.stage,
        reason=condition.reason,
        facts=condition.facts,
    )


def _mail(alerts: list[tuple[Alert, MailKind]], people: list[int]) -> None:
    Mail.objects.bulk_create(
        Mail(company_id=alert.company_id, user_id=user_id, news=kind, alert=alert)
        for alert, kind in alerts
        for user_id in people
    )
