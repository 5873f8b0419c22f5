"""A mail server that can be out of reach, or see its client die before or after it took a mail."""

import smtplib
from typing import ClassVar

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend


class Died(BaseException):
    """The process that was sending is no more."""


class PostOffice(BaseEmailBackend):
    """`taken` is every mail that was taken. `trouble` is what happens to the next: away, dies_before or dies_after."""

    taken: ClassVar[list[EmailMessage]] = []
    trouble: ClassVar[str] = ""

    @classmethod
    def open_anew(cls) -> None:
        cls.taken, cls.trouble = [], ""

    def send_messages(self, messages):
        if self.trouble == "away":
            raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed")
        if self.trouble == "dies_before":
            raise Died
        self.taken.extend(messages)
        if self.trouble == "dies_after":
            raise Died
        return len(messages)
