"""Mail by SMTP, within a time of our own.

The timeout of smtplib is for each read: a server that sends a line every few seconds held a thread for ever, a person's
request as well as a worker's watch.
"""

import smtplib
import socket
import threading
from contextlib import suppress
from typing import Any, Final

from django.core.mail.backends import smtp

SESSION_SECONDS: Final = 30.0  # from connecting to the last answer; a mail server nearby takes less than one


class _Smtp(smtplib.SMTP):
    """Shuts the line after SESSION_SECONDS, whatever is read or written on it then, a TLS handshake too."""

    def _get_socket(self, *args: Any) -> socket.socket:
        line: socket.socket = super()._get_socket(*args)  # type: ignore[misc]
        # A handle of our own: TLS takes the socket away from whoever has it.
        self._handle = line.dup()
        self._clock = threading.Timer(SESSION_SECONDS, self._cut)
        self._clock.daemon = True
        self._clock.start()
        return line

    def close(self) -> None:
        self._clock.cancel()
        self._handle.close()
        super().close()

    def _cut(self) -> None:
        with suppress(OSError):  # closed meanwhile
            self._handle.shutdown(socket.SHUT_RDWR)
        self._handle.close()


class _SmtpOverTls(smtplib.SMTP_SSL, _Smtp):
    """The same over TLS from the first byte."""


class SmtpBackend(smtp.EmailBackend):
    """Django's. Raises OSError (which smtplib's errors are, too) where the server takes too long in all."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _SmtpOverTls if self.use_ssl else _Smtp
