"""A time limit for a whole exchange over sockets.

The timeout of a socket applies to each read: at a byte a second, an answer could go on for ever. And an HTTP library
closes a connection before it reads a body that ends with the connection, so a limit must not end with `close()`.
"""

import socket
import threading
from contextlib import suppress
from time import monotonic


class Deadline:
    """Shuts down the sockets that it watches after some seconds, whatever happens on them then, as a TLS handshake.

    It has a thread of its own until then, or until `cancel`.
    """

    def __init__(self, seconds: float) -> None:
        self._ends_at = monotonic() + seconds
        self._handles: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._shut_down)
        self._timer.daemon = True
        self._timer.start()

    def watch(self, sock: socket.socket) -> None:
        """Shut this socket down in time, too. Raises TimeoutError if the time is up already."""
        # A duplicate, because TLS detaches the original socket.
        self._handles.append(sock.dup())
        self.seconds_left()

    @property
    def is_over(self) -> bool:
        return monotonic() >= self._ends_at

    def seconds_left(self) -> float:
        """Returns how long a step may still take. Raises TimeoutError if the time is up."""
        left = self._ends_at - monotonic()
        if left <= 0:
            raise TimeoutError("The exchange took too long.")
        return left

    def cancel(self) -> None:
        """End the watch. May be called again."""
        self._timer.cancel()
        # While it shuts a socket down, the number of the handle must not go to another
        # file.
        self._timer.join()
        for handle in self._handles:
            handle.close()

    def _shut_down(self) -> None:
        for handle in self._handles:
            with suppress(OSError):  # closed by the other side
                handle.shutdown(socket.SHUT_RDWR)
            handle.close()
