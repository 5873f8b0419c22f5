"""Sends mails that are due: claims each, sends it, settles it. A failure affects neither the others nor deliveries."""

import logging
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from email.utils import parseaddr
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.db.models import F, QuerySet
from django.db.models.functions import Now
from django.template.loader import render_to_string

from crm.models.mail import OutgoingMail

logger = logging.getLogger(__name__)

CLAIM: Final = timedelta(minutes=15)  # far longer than the timeout for the mail server
RETRY_MINUTES: Final = (5, 15, 60, 180, 360, 720, 1440)  # then the news is old

# None: this mail is no longer to be sent.
Compose = Callable[[Any], EmailMessage | None]


def send_due(
    mails: QuerySet[Any], compose: Compose, *, is_stopping: Callable[[], bool]
) -> int:
    """Send those of the mails that are due, oldest first. Returns how many were sent."""
    due = list(_due(mails).order_by("pk").values_list("pk", flat=True))
    return sum(
        _send(mails, pk, compose)
        for pk in due
        if not is_stopping() and _claim(mails, pk)
    )


def _due(mails: QuerySet[Any]) -> QuerySet[Any]:
    return mails.filter(due_at__lte=Now())


def _claim(mails: QuerySet[Any], pk: int) -> bool:
    """Claim the mail. False if another worker has."""
    return bool(
        _due(mails).filter(pk=pk).update(due_at=Now() + CLAIM, tries=F("tries") + 1)
    )


def _send(mails: QuerySet[Any], pk: int, compose: Compose) -> bool:
    mail: OutgoingMail = mails.get(pk=pk)
    try:
        message = compose(mail)
        if message is not None:
            message.send()
    except Exception as error:  # the error's text may contain the address
        logger.error("%s could not be sent: %s.", mail, type(error).__name__)
        _try_again(mails, mail)
        return False
    mail.settle(is_sent=message is not None)
    return message is not None


def _try_again(mails: QuerySet[Any], mail: OutgoingMail) -> None:
    if mail.tries > len(RETRY_MINUTES):
        mail.settle(is_sent=False)
    else:
        mails.filter(pk=mail.pk).update(
            due_at=Now() + timedelta(minutes=RETRY_MINUTES[mail.tries - 1])
        )


class Piece(NamedTuple):
    """A part of a line of a mail. A link has its URL as its text."""

    text: str
    is_link: bool


def message(
    subject: str,
    text: str,
    *,
    to: str,
    key: str,
    headers: Mapping[str, str] | None = None,
) -> EmailMultiAlternatives:
    """The mail as plain text and, with the same words, as HTML.

    `key` names the mail within this installation. Each attempt to send it has the same Message-ID, so a mail server can
    recognise duplicates. Auto-Submitted (RFC 3834) keeps programs that are away from answering.
    """
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    own = {"Message-ID": f"<{key}@{domain}>", "Auto-Submitted": "auto-generated"}
    mail = EmailMultiAlternatives(
        subject, text, to=[to], headers={**own, **(headers or {})}
    )
    page = {"subject": subject, "paragraphs": _paragraphs(text)}
    mail.attach_alternative(
        render_to_string("crm/mail/message.html", page), "text/html"
    )
    return mail


def _paragraphs(text: str) -> list[list[list[Piece]]]:
    """The lines of each paragraph, in pieces. Only our own URLs are links: names in a mail are other people's texts."""
    ours = re.compile(rf"(?<!\S)({re.escape(settings.SITE_URL)}(?:/\S*)?)(?!\S)")
    paragraphs = text.strip().split("\n\n")
    return [
        [_pieces(ours, line) for line in paragraph.strip().splitlines()]
        for paragraph in paragraphs
    ]


def _pieces(ours: re.Pattern[str], line: str) -> list[Piece]:
    # `split` puts what the group matched at the odd places.
    return [
        Piece(text, is_link=bool(at % 2))
        for at, text in enumerate(ours.split(line))
        if text
    ]


def site_host() -> str:
    """The host of our address, for ids that stay the same: a program then recognises what it has seen."""
    return settings.SITE_URL.rpartition("/")[2].partition(":")[0]
