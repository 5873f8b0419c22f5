"""A limit on everything that happens on a socket. Timeouts apply to each read: a byte a second could go on for ever."""

import socket
import threading
from contextlib import suppress


class SocketDeadline:
    """Shuts the socket down after some seconds, whatever happens on it then, including a TLS handshake."""

    def __init__(self, sock: socket.socket, seconds: float) -> None:
        # A duplicate, because TLS detaches the original socket.
        self._handle = sock.dup()
        self._timer = threading.Timer(seconds, self._shut_down)
        self._timer.daemon = True
        self._timer.start()

    def cancel(self) -> None:
        self._timer.cancel()
        self._handle.close()

    def _shut_down(self) -> None:
        with suppress(OSError):  # already closed
            self._handle.shutdown(socket.SHUT_RDWR)
        self._handle.close()
