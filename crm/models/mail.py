"""Outgoing mails: stored in the transaction that causes them, and sent by a worker after the commit."""

from django.db import models
from django.db.models.functions import Now


class OutgoingMail(models.Model):
    """One mail. `due_at` is when to try next, null once there is nothing left to do.

    A worker moves `due_at` forward before it sends: no other worker then sends the same mail.
    """

    created_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(null=True, db_default=Now())
    tries = models.PositiveSmallIntegerField(default=0)

    class Meta:
        abstract = True

    def settle(self, *, is_sent: bool) -> None:
        """Note that the mail was sent, or that it never will be."""
        raise NotImplementedError


class AccountMail(OutgoingMail):
    """A mail to one person about their account, deleted once it is settled.

    `content` is encrypted, because links in such mails grant access: see `crm.accounts.mails`.
    """

    content = models.TextField()

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"Account mail {self.pk}"

    def settle(self, *, is_sent: bool) -> None:
        self.delete()
