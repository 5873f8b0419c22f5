"""Writing what changed: alerts opened and closed, and for each person who wants it a mail, in one transaction."""

from typing import Final

from django.db.models.functions import Now

from capi.alerts.choice import Want, recipients
from capi.alerts.conditions import Changes, Condition
from capi.models import Alert, Mail
from capi.reasons import AlertKind, Ending, News

# Whose end is news. That a date was moved or that what was on hold went out, people know who did it.
END_IS_NEWS: Final = frozenset(
    {AlertKind.CONNECTION_PAUSED, AlertKind.RULE_PAUSED, AlertKind.RESTING, AlertKind.FAILING, AlertKind.SILENT}
)


def write(company_id: int, changes: Changes) -> None:
    """Call it inside the transaction in which the changes were found."""
    for alert, ending in changes.closed:
        Alert.objects.filter(pk=alert.pk).update(closed_at=Now(), ending=ending)
    opened = [_open(company_id, condition) for condition in changes.opened]
    over = [alert for alert, ending in changes.closed if ending == Ending.MENDED and alert.kind in END_IS_NEWS]
    if opened or over:
        people = recipients(company_id, Want.ALERTS)
        _mail([(alert, News.CLOSED) for alert in over] + [(alert, News.OPENED) for alert in opened], people)


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


def _mail(told: list[tuple[Alert, News]], people: list[int]) -> None:
    Mail.objects.bulk_create(
        Mail(company_id=alert.company_id, user_id=user_id, news=news, alert=alert)
        for alert, news in told
        for user_id in people
    )
