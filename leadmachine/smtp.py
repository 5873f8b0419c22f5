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
# A session with a shorter timeout for each read, as a probe has it, ends after this many of them.
READS: Final = 3


class _Smtp(smtplib.SMTP):
    """Ends after SESSION_SECONDS, or after READS times its timeout if that is shorter."""

    def _get_socket(self, *args: Any) -> socket.socket:
        sock: socket.socket = super()._get_socket(*args)  # type: ignore[misc]
        self._deadline = Deadline(_session_seconds(self.timeout))
        self._deadline.watch(sock)
        return sock

    def close(self) -> None:
        self._deadline.cancel()
        super().close()


class _SmtpOverTls(smtplib.SMTP_SSL, _Smtp):
    """The same over TLS from the first byte."""


def _session_seconds(timeout: object) -> float:
    """Return how long a session may take. smtplib has an object of its own for a timeout that was not given."""
    if isinstance(timeout, int | float):
        return min(SESSION_SECONDS, READS * timeout)
    return SESSION_SECONDS


class SmtpBackend(smtp.EmailBackend):
    """Django's backend. Also raises OSError, as smtplib does, if a session takes too long."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _SmtpOverTls if self.use_ssl else _Smtp
