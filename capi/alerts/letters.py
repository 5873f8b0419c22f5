"""The mails, in plain text: what happened and to which company, what to do, and where. Of a lead they say nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from django.conf import settings
from django.urls import reverse
from django.utils import dateformat, timezone
from django.utils.text import capfirst

from capi.models import Connection, Mail
from capi.reads.reconcile import RuleWeek, reconcile
from capi.reasons import News
from capi.words import HELP_PAGE
from capi.words.alerts import tell, tell_end

ABOUT_RECONCILE: Final = "alerts-and-the-weekly-reconcile"


@dataclass(frozen=True, slots=True)
class Letter:
    subject: str
    text: str


def letter_of(mail: Mail) -> Letter:
    """The mail as it goes out. `mail.company`, `mail.user` and `mail.alert.rule` should be loaded."""
    return _of_week(mail) if mail.week is not None else _of_alert(mail)


def _of_alert(mail: Mail) -> Letter:
    assert mail.alert is not None
    with timezone.override(mail.company.time_zone):
        told = tell_end(mail.alert) if mail.news == News.CLOSED else tell(mail.alert)
    parts = [
        f"{capfirst(told.title)}.",
        told.what,
        told.next_step,
        _more(told.topic),
        f"See it here:\n{link('alerts')}",
    ]
    return _letter(f"{mail.company}: {told.title}", parts)


def _of_week(mail: Mail) -> Letter:
    assert mail.week is not None
    connection = Connection.objects.for_company(mail.company_id).first()
    with timezone.override(mail.company.time_zone):
        week = reconcile(mail.company_id, mail.week, connection)
    days = f"{_day(week.monday)} to {_day(week.sunday)}"
    head = f"What became of the CRM events of {days}, by rule. The numbers are those of the moment of this mail."
    rules = [_of_rule(one) for one in week.rules] or ["Nothing happened that one of your rules is mapped to."]
    more = f"More in the help:\n{link('help_page', 'admin')}#{ABOUT_RECONCILE}"
    foot = f"See all of it here:\n{link('reconcile')}?week={mail.week}"
    return _letter(f"{mail.company}: LinkedIn, the week from {days}", [head, *rules, more, foot])


def _of_rule(one: RuleWeek) -> str:
    name = f"{one.rule.name} ({one.rule.get_crm_event_display()})"
    lines = [f"  {line.count:>7,}  {line.words.label}: {line.words.what}" for line in one.lines]
    return "\n".join([name, *lines, f"  {one.crm_events:>7,}  together"])


def _letter(subject: str, parts: Sequence[str]) -> Letter:
    return Letter(" ".join(subject.split()), "\n\n".join(part for part in [*parts, why()] if part) + "\n")


def _more(topic: str) -> str:
    return f"More in the help:\n{link('help_page', HELP_PAGE)}#{topic}" if topic else ""


def _day(day: date) -> str:
    return dateformat.format(day, "j F Y")


def why() -> str:
    """Why one got this, and how to get no more."""
    because = "You get this mail because you chose to, or because you are an admin. Choose otherwise here:"
    return f"{because}\n{link('alerts')}#mail"


def link(name: str, *args: str) -> str:
    """Where a page is for somebody who reads about it in a mail."""
    return f"{settings.SITE_URL}{reverse(name, args=args)}"
