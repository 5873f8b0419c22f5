"""The sandbox on a real socket: HTTP/1.1, connections kept alive, one thread for each."""

import contextlib
import socket
import socketserver
import sys
import threading
from functools import partial
from types import TracebackType
from typing import Any, Self

from capi.sandbox.faults import Faults
from capi.sandbox.handler import Desk, Handler, logger
from capi.sandbox.ledger import Ledger


class SandboxServer:
    """A stand-in for LinkedIn at `url`, from `start` to `stop`. Port 0 takes any free one.

    `start` raises OSError where the port is taken. A request that is never answered is held for `hold_seconds`. With
    a `key` it proves itself to anyone who has the same (`capi.sandbox.proof`).
    """

    def __init__(
        self, host: str, port: int, ledger: Ledger, *, hold_seconds: float = 60, key: bytes | None = None
    ) -> None:
        self.host = host
        self.port = port
        self._desk = Desk(ledger, hold_seconds, key=key)
        self._listener: Listener | None = None

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def ledger(self) -> Ledger:
        return self._desk.ledger

    @property
    def faults(self) -> Faults:
        return self._desk.faults

    def start(self) -> Self:
        self._desk.stopping.clear()
        self._listener = Listener((self.host, self.port), self._desk)
        self.port = self._listener.server_address[1]
        threading.Thread(target=self._listener.serve_forever, args=(0.05,), name="sandbox", daemon=True).start()
        return self

    def stop(self) -> None:
        """Close the port and every connection, also those that wait for an answer."""
        self._desk.stopping.set()
        if self._listener:
            self._listener.shutdown()
            self._listener.server_close()
            self._listener.hang_up()
            self._listener = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


class Listener(socketserver.TCPServer):
    """The listening socket. It knows its connections, so that none outlives it."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], desk: Desk) -> None:
        self._connections: dict[socket.socket, threading.Thread] = {}
        super().__init__(address, partial(Handler, desk=desk))

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(target=self._serve, args=(request, client_address), daemon=True)
        self._connections[request] = thread
        thread.start()

    def _serve(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except Exception:
            self.handle_error(request, client_address)
        finally:
            self.shutdown_request(request)
            self._connections.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hangs up is nothing to speak of; a mistake of ours is."""
        if not isinstance(sys.exception(), ConnectionError):
            logger.exception("The sandbox could not answer a request")

    def hang_up(self) -> None:
        """Close the connections that are left, and wait for their threads."""
        for connection, thread in list(self._connections.items()):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=5)
