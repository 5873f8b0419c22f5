"""The mail of a Monday morning with the reconcile of the week before, once for each company and week."""

from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from capi.alerts.preferences import MailTopic, recipients
from capi.models import Connection, Mail
from capi.models.choices import MailKind

FROM_HOUR: Final = 6  # of Monday, by the company's clock


def write_if_due(connection: Connection, *, now: datetime) -> None:
    """Write the mails about the week that ended last, unless that was done. Call it while the connection is locked."""
    week = last_week(now.astimezone(ZoneInfo(connection.company.time_zone)))
    if connection.mailed_week == week:
        return
    Connection.objects.filter(pk=connection.pk).update(mailed_week=week)
    if connection.mailed_week is None:
        return  # it is new here: the first week that it hears of is the one that runs
    company_id = connection.company_id
    Mail.objects.bulk_create(
        Mail(company_id=company_id, user_id=user_id, news=MailKind.WEEK, week=week)
        for user_id in recipients(company_id, MailTopic.WEEKLY)
    )


def last_week(local: datetime) -> date:
    """The Monday of the week that ended last; the night before Monday morning still counts as the week before."""
    day = (local - timedelta(hours=FROM_HOUR)).date()
    return day - timedelta(days=day.weekday(), weeks=1)
