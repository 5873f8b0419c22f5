"""An SMTP backend with a limit for the whole session.

smtplib's timeout applies to each read. A server that sent a line every few seconds blocked a thread for ever, both in
web requests and in a worker's watch timer.
"""

import smtplib
import socket
from typing import Any, Final

from django.core.mail.backends import smtp

from crm.services.deadlines import Deadline

# From connecting to the last response; a mail server nearby takes less than one.
SESSION_SECONDS: Final = 30.0


class _Smtp(smtplib.SMTP):
    """Ends after SESSION_SECONDS."""

    def _get_socket(self, *args: Any) -> socket.socket:
        sock: socket.socket = super()._get_socket(*args)  # type: ignore[misc]
        self._deadline = Deadline(SESSION_SECONDS)
        self._deadline.watch(sock)
        return sock

    def close(self) -> None:
        self._deadline.cancel()
        super().close()


class _SmtpOverTls(smtplib.SMTP_SSL, _Smtp):
    """The same over TLS from the first byte."""


class SmtpBackend(smtp.EmailBackend):
    """Django's backend. Also raises OSError, as smtplib does, if a session takes longer than SESSION_SECONDS."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _SmtpOverTls if self.use_ssl else _Smtp
