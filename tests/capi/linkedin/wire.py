"""A server on a real socket that answers each request with whatever bytes, at whatever pace, a test asks for."""

import contextlib
import select
import socket
import ssl
import threading
from collections.abc import Callable

from capi.linkedin.client import Client
from capi.linkedin.decisions import Answer

TOKEN = "AQXsecret-token-0123456789"
BODY = b'{"conversion":"urn:lla:llaPartnerConversion:104012"}'
CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Wire:
    """Listens on loopback; `answer(connection, request)` is called for each complete request."""

    def __init__(
        self,
        answer: Callable[[socket.socket, bytes], None],
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.accepted = 0
        self.requests: list[bytes] = []
        self._answer = answer
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"

    def __enter__(self) -> "Wire":
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(10)
        self._listener.close()

    def drip(
        self, connection: socket.socket, data: bytes, *, seconds: float = 0.05
    ) -> None:
        """Send one byte after the other until the test ends or the other side has had enough."""
        for byte in data:
            if self._stopping.wait(seconds):
                return
            connection.send(bytes([byte]))

    def hold(self) -> None:
        """Say nothing more until the test ends."""
        self._stopping.wait(30)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            if select.select([self._listener], [], [], 0.02)[0]:
                connection, _ = self._listener.accept()
                self.accepted += 1
                self._threads.append(
                    threading.Thread(target=self._serve, args=[connection])
                )
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                while request := self._read(connection):
                    self.requests.append(request)
                    self._answer(connection, request)

    def _read(self, connection: socket.socket) -> bytes:
        connection.settimeout(0.05)
        data = b""
        while not _is_whole(data) and not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                chunk = connection.recv(65536)
                if not chunk:
                    return b""
                data += chunk
        connection.settimeout(10)
        return data if _is_whole(data) else b""


def _is_whole(data: bytes) -> bool:
    head, end, body = data.partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    return bool(end) and len(body) >= int(length or 0)


def reset(connection: socket.socket) -> None:
    """End the connection with RST instead of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


def saying(*pieces: bytes) -> Callable[[socket.socket, bytes], None]:
    """Answer in these pieces, then close the connection."""

    def answer(connection: socket.socket, request: bytes) -> None:
        for piece in pieces:
            connection.sendall(piece)
        connection.close()

    return answer


def keeping_alive(data: bytes) -> Callable[[socket.socket, bytes], None]:
    """Give each request the same answer, and keep the connection open."""
    return lambda connection, request: connection.sendall(data)


def headers_of(request: bytes) -> dict[str, str]:
    lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return dict(line.split(": ", 1) for line in lines)


def send(
    client: Client, *, token: str = TOKEN, body: bytes = BODY, batch: bool = False
) -> Answer:
    return client.send(token=token, body=body, batch=batch)
