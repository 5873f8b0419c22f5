"""Pending mails about accounts: what a worker does with one that it can't read."""

import pytest
from cryptography.fernet import Fernet
from django.core import mail
from django.db.models.functions import Now

from crm.accounts import mails
from crm.models import AccountMail

pytestmark = [pytest.mark.django_db, pytest.mark.covers("S49")]


def test_a_mail_whose_key_is_lost_waits_and_is_sent_once_the_key_is_back(
    sales, settings, caplog
):
    keys = settings.TOKEN_KEYS
    mails.queue_password_reset("sales@example.com")

    settings.TOKEN_KEYS = [Fernet.generate_key().decode()]
    assert mails.send_due() == 0
    waiting = AccountMail.objects.get()
    assert waiting.tries == 1
    assert f"Account mail {waiting.pk} could not be sent: Unreadable." in caplog.text
    assert "example.com" not in caplog.text

    settings.TOKEN_KEYS = keys
    AccountMail.objects.update(due_at=Now())
    assert mails.send_due() == 1
    assert [message.to for message in mail.outbox] == [["sales@example.com"]]
    assert not AccountMail.objects.exists()
