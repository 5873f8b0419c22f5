"""Sends mails that are due: claims each, sends it, settles it. A failure affects neither the others nor deliveries."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from crm.models.mail import OutgoingMail

logger = logging.getLogger(__name__)

CLAIM: Final = timedelta(minutes=15)  # far longer than the timeout for the mail server
RETRY_MINUTES: Final = (5, 15, 60, 180, 360, 720, 1440)  # then the news is old

Compose = Callable[[Any], EmailMessage | None]  # None: this mail is no longer to be sent


def send_due(mails: QuerySet[Any], compose: Compose, *, is_stopping: Callable[[], bool]) -> int:
    """Send those of the mails that are due, oldest first. Returns how many were sent."""
    due = list(_due(mails).order_by("pk").values_list("pk", flat=True))
    return sum(_send(mails, pk, compose) for pk in due if not is_stopping() and _claim(mails, pk))


def _due(mails: QuerySet[Any]) -> QuerySet[Any]:
    return mails.filter(due_at__lte=Now())


def _claim(mails: QuerySet[Any], pk: int) -> bool:
    """Claim the mail. False if another worker has."""
    return bool(_due(mails).filter(pk=pk).update(due_at=Now() + CLAIM, tries=F("tries") + 1))


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
        mails.filter(pk=mail.pk).update(due_at=Now() + timedelta(minutes=RETRY_MINUTES[mail.tries - 1]))


def site_host() -> str:
    """The host of our address, for ids that stay the same: a program then recognises what it has seen."""
    return settings.SITE_URL.rpartition("/")[2].partition(":")[0]
