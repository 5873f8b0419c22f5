"""Mails to people about their accounts. A request only queues them, and a worker sends them after the response.

So no response takes longer because someone has an account, or because the mail server is slow.
"""

import json
from collections.abc import Callable
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.core.mail import EmailMessage
from django.urls import reverse

from crm.models import User
from crm.models.crypto import seal, unseal
from crm.models.mail import AccountMail
from crm.services import outbox


def queue_message(message: EmailMessage) -> None:
    """Queue this message. A worker sends it."""
    _queue({"to": message.to, "subject": message.subject, "body": message.body})


def queue_password_reset(address: str) -> None:
    """Queue a link for the user with this address, if any. That is checked later, so the response reveals nothing."""
    _queue({"reset": address})


def _queue(content: dict[str, Any]) -> None:
    AccountMail.objects.create(content=seal(json.dumps(content)))


def send_due(*, is_stopping: Callable[[], bool] = lambda: False) -> int:
    """Send the mails that are due. Returns how many were sent."""
    return outbox.send_due(AccountMail.objects.all(), _compose, is_stopping=is_stopping)


def _compose(mail: AccountMail) -> EmailMessage | None:
    content = json.loads(unseal(mail.content))
    if "reset" in content:
        message = _password_reset(content["reset"])
    else:
        message = EmailMessage(content["subject"], content["body"], to=content["to"])
    if message is None:
        return None
    return outbox.message(
        str(message.subject),
        str(message.body),
        to=message.to[0],
        key=f"account-mail-{mail.pk}",
    )


def _password_reset(address: str) -> EmailMessage | None:
    user = User.objects.with_address(address)
    if user is None or not user.is_active:
        return None
    key = [user_pk_to_url_str(user), default_token_generator.make_token(user)]
    url = f"{settings.SITE_URL}{reverse('account_reset_password_from_key', args=key)}"
    return render(
        "account/email/password_reset_key", address, {"password_reset_url": url}
    )


def render(template_prefix: str, address: str, context: dict[str, Any]) -> EmailMessage:
    """The message from our templates."""
    site = {"site_url": settings.SITE_URL, "email": address}
    message: EmailMessage = get_adapter().render_mail(
        template_prefix, address, {**context, **site}
    )
    return message
