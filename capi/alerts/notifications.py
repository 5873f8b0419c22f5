"""The mails: what they say, and sending them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.mail import EmailMessage
from django.urls import reverse
from django.utils import dateformat, timezone
from django.utils.text import capfirst

from capi.alerts.mail_choices import (
    MailTopic,
    may_still_read,
    recipients,
    unsubscribe_token,
)
from capi.delivery import shutdown
from capi.models import Connection, Mail
from capi.models.choices import MailKind
from capi.selectors.explanations.alerts import explain_closing, explain_opening
from capi.selectors.explanations.states import HELP_PAGE
from capi.selectors.reconcile import RuleWeek, reconcile
from crm.services import outbox

# The mails, in plain text: the company, what happened, what to do and where. They contain no lead data.


@dataclass(frozen=True, slots=True)
class MailContent:
    subject: str
    text: str


def mail_content(mail: Mail) -> MailContent:
    """The mail's subject and text. `mail.company`, `mail.user` and `mail.alert.rule` should be loaded."""
    return _of_week(mail) if mail.week is not None else _of_alert(mail)


def _of_alert(mail: Mail) -> MailContent:
    assert mail.alert is not None
    with timezone.override(mail.company.time_zone):
        text = (
            explain_closing(mail.alert)
            if mail.news == MailKind.CLOSED
            else explain_opening(mail.alert)
        )
    parts = [
        f"{capfirst(text.title)}.",
        text.what,
        text.next_step,
        _more(text.topic),
        f"See the alert:\n{link('alerts')}",
    ]
    return _content(f"{mail.company}: {text.title}", parts)


def _of_week(mail: Mail) -> MailContent:
    assert mail.week is not None
    connection = Connection.objects.for_company(mail.company_id).first()
    with timezone.override(mail.company.time_zone):
        week = reconcile(mail.company_id, mail.week, connection)
    days = f"{_day(week.monday)} to {_day(week.sunday)}"
    head = (
        f"Outcomes of the CRM events from {days}, by rule, at the time of this e-mail."
    )
    rules = [_of_rule(row) for row in week.rules] or [
        "None of your rules had a CRM event."
    ]
    more = f"Learn more:\n{link('help_page', 'admin')}#alerts-and-the-weekly-reconcile"
    foot = f"See the full reconcile:\n{link('reconcile')}?week={mail.week}"
    return _content(
        f"{mail.company}: LinkedIn reconcile, {days}", [head, *rules, more, foot]
    )


def _of_rule(row: RuleWeek) -> str:
    name = f"{row.rule} ({row.rule.get_crm_event_display()})"
    lines = [
        f"  {line.count:>7,}  {line.words.label}: {line.words.what}"
        for line in row.lines
    ]
    return "\n".join([name, *lines, f"  {row.crm_events:>7,}  total"])


def _content(subject: str, parts: Sequence[str]) -> MailContent:
    return MailContent(
        " ".join(subject.split()),
        "\n\n".join(part for part in [*parts, why()] if part) + "\n",
    )


def _more(topic: str) -> str:
    return f"Learn more:\n{link('help_page', HELP_PAGE)}#{topic}" if topic else ""


def _day(day: date) -> str:
    return dateformat.format(day, "j F Y")


def why() -> str:
    """Why the recipient got this mail, and how to stop it."""
    because = "You get this e-mail because you are an admin or asked for it. Change your choice here:"
    return f"{because}\n{link('alerts')}#mail"


def link(name: str, *args: str) -> str:
    """The full URL of a page."""
    return f"{settings.SITE_URL}{reverse(name, args=args)}"


# Sending them.


def send_due() -> int:
    """Send the mails that are due, oldest first. Returns how many were sent."""
    mails = Mail.objects.select_related("company", "user", "alert__rule")
    return outbox.send_due(mails, _message, is_stopping=shutdown.has_begun)


def _message(mail: Mail) -> EmailMessage | None:
    """The message; None if the person may no longer see the company's connection."""
    if not may_still_read(mail.company_id, mail.user_id):
        return None
    content = mail_content(mail)
    topic = MailTopic.ALERTS if mail.week is None else MailTopic.WEEKLY
    # One click in the mail program, without a sign-in (RFC 8058).
    headers = {
        "List-ID": f"<{topic}.{outbox.site_host()}>",
        "List-Unsubscribe": f"<{link('mail_unsubscribe', unsubscribe_token(mail.company_id, mail.user_id, topic))}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    key = f"alert-mail-{mail.pk}"
    return outbox.message(
        content.subject, content.text, to=mail.user.email, key=key, headers=headers
    )


# The Monday mail with last week's reconcile, once per company and week.

FROM_HOUR: Final = 6  # on Monday, in the company's time zone


def write_weekly_mails(connection: Connection, *, now: datetime) -> None:
    """Write the mails about the last full week, unless done. Call it while the connection is locked."""
    week = last_week(now.astimezone(ZoneInfo(connection.company.time_zone)))
    if connection.mailed_week == week:
        return
    Connection.objects.filter(pk=connection.pk).update(mailed_week=week)
    if connection.mailed_week is None:
        return  # a new company: its first mail is about the current week
    company_id = connection.company_id
    Mail.objects.bulk_create(
        Mail(company_id=company_id, user_id=user_id, news=MailKind.WEEK, week=week)
        for user_id in recipients(company_id, MailTopic.WEEKLY)
    )


def last_week(local: datetime) -> date:
    """The Monday of the last full week. Until FROM_HOUR, Monday still belongs to the week before."""
    day = (local - timedelta(hours=FROM_HOUR)).date()
    return day - timedelta(days=day.weekday(), weeks=1)
