"""Sending the mails: each is claimed, sent, and marked as sent. Nothing here can harm a delivery."""

import logging
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import F
from django.db.models.functions import Now

from capi import shutdown
from capi.alerts.choice import may_still_read
from capi.alerts.letters import letter_of
from capi.models import Mail

logger = logging.getLogger(__name__)

CLAIM: Final = timedelta(minutes=15)  # far longer than a mail server is waited for
RETRY_MINUTES: Final = (5, 15, 60, 180, 360, 720, 1440)  # then the news is old


def send_due() -> int:
    """Send the mails that are due, oldest first. Returns how many went out."""
    return sum(_send(pk) for pk in list(Mail.objects.due().values_list("pk", flat=True)))


def _send(pk: int) -> bool:
    if shutdown.has_begun() or not Mail.objects.due().filter(pk=pk).update(due_at=Now() + CLAIM, tries=F("tries") + 1):
        return False  # this worker is about to end, or another has it
    mail = Mail.objects.select_related("company", "user", "alert__rule").get(pk=pk)
    if not may_still_read(mail.company_id, mail.user_id):
        Mail.objects.filter(pk=pk).update(due_at=None)
        return False
    try:
        _message(mail).send()
    except Exception as error:  # whatever it is, the mails behind it must go; its text may hold the address
        logger.error("Mail %s of company %s could not be sent: %s.", pk, mail.company_id, type(error).__name__)
        Mail.objects.filter(pk=pk).update(due_at=_next_try(mail.tries))
        return False
    Mail.objects.filter(pk=pk).update(due_at=None, sent_at=Now())
    return True


def _message(mail: Mail) -> EmailMessage:
    letter = letter_of(mail)
    # The same for each try: a mail server that got it twice can tell.
    name = f"<alert-mail-{mail.pk}@{settings.SITE_URL.rpartition('/')[2].partition(':')[0]}>"
    headers = {"Message-ID": name, "Auto-Submitted": "auto-generated"}
    return EmailMessage(letter.subject, letter.text, to=[mail.user.email], headers=headers)


def _next_try(tries: int) -> object:
    return Now() + timedelta(minutes=RETRY_MINUTES[tries - 1]) if tries <= len(RETRY_MINUTES) else None
