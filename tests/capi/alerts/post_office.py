"""A mail server that can be out of reach, or whose client can die before or after it accepts a mail."""

import smtplib
from typing import ClassVar

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend


class Died(BaseException):
    """The sending process has died."""


class PostOffice(BaseEmailBackend):
    """`taken` holds every accepted mail. `trouble` is what happens to the next one: away, dies_before or dies_after."""

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
