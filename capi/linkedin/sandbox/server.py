"""The sandbox's server: reads a request, validates it, logs it, and answers it, with a fault if one is scripted."""

import contextlib
import logging
import socket
import socketserver
import sys
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http.client import responses
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from capi.linkedin.sandbox import messages
from capi.linkedin.sandbox.faults import NO_FAULT, Drop, Fault, Faults
from capi.linkedin.sandbox.messages import IncomingRequest, Reply, refusal
from capi.linkedin.sandbox.request_log import Entry, RequestLog
from capi.linkedin.sandbox.validation import answer_to

CONTROL_BYTES = 16 * 2**20  # a scripted answer may have many megabytes
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServerContext:
    """State that all connections share."""

    ledger: RequestLog
    hold_seconds: float
    faults: Faults = field(default_factory=Faults)
    stopping: threading.Event = field(default_factory=threading.Event)
    key: bytes | None = None  # without one the sandbox can't prove its identity


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, *args: Any, context: ServerContext) -> None:
        self.context = context
        super().__init__(*args)  # serves the whole connection

    def do_POST(self) -> None:
        if self.path == "/_control":
            self._control()
        elif (
            self.path.startswith(f"{messages.PROOF_PATH}?")
            and self.context.key is not None
        ):
            self._prove(self.context.key)
        else:
            self._exchange(self.context.faults.take())

    do_GET = do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815 - BaseHTTPRequestHandler looks for these

    def log_message(self, *args: Any) -> None:
        """Nothing: the request log has it all."""

    def _exchange(self, fault: Fault) -> None:
        request = self._received(reads_body=fault.drop != Drop.BEFORE_BODY)
        if request is None:
            return
        now = datetime.now(UTC)
        is_validated = fault.drop != Drop.BEFORE_BODY
        reply = (
            fault.instead_of(answer_to(request, now=now))
            if is_validated
            else Reply(None)
        )
        self.context.ledger.append(Entry.of(request, reply, now, fault.as_json()))
        self._answer(reply, fault)

    def _received(self, *, reads_body: bool = True) -> IncomingRequest | None:
        """The request. None if the client closed the connection within the body."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()):
            headers.pop("content-length", None)
            # Without a length it is unknown where the next request begins.
            self.close_connection = (
                self.close_connection
                or self.command == "POST"
                or "transfer-encoding" in headers
            )
            length = "0"
        body = self.rfile.read(int(length)) if reads_body else b""
        if reads_body and len(body) < int(length):
            self.close_connection = True
            return None
        return IncomingRequest(self.command, self.path, headers, body)

    def _answer(self, reply: Reply, fault: Fault = NO_FAULT) -> None:
        context = self.context
        context.stopping.wait(fault.delay_ms / 1000)
        if fault.drop != Drop.NEVER:
            self.close_connection = True
        elif reply.status is None:
            context.stopping.wait(context.hold_seconds)
            self.close_connection = True
        else:
            self._write(self._as_bytes(reply, reply.status), fault)

    def _as_bytes(self, reply: Reply, status: int) -> bytes:
        headers = {"Date": self.date_time_string(), **reply.headers}
        if not headers.keys() & {"Content-Length", "Transfer-Encoding"}:
            headers["Content-Length"] = str(len(reply.body))
        if self.close_connection:
            headers["Connection"] = "close"
        lines = [
            f"HTTP/1.1 {status} {responses.get(status, '')}",
            *[f"{name}: {value}" for name, value in headers.items()],
        ]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + reply.body

    def _write(self, answer: bytes, fault: Fault) -> None:
        if fault.cut_after is not None:
            answer = answer[: fault.cut_after]
            self.close_connection = True
        if not fault.drip_ms:
            self.wfile.write(answer)
            return
        for at in range(len(answer)):
            self.wfile.write(answer[at : at + 1])
            if self.context.stopping.wait(fault.drip_ms / 1000):
                return

    def _prove(self, key: bytes) -> None:
        """Answer a challenge. It is no request to LinkedIn, so it gets no fault and is not logged."""
        if self._received() is not None:
            port = self.connection.getsockname()[1]
            self._answer(
                Reply(
                    200,
                    messages.prove(
                        self.path.partition("?")[2], key=key, port=port
                    ).encode(),
                )
            )

    def _control(self) -> None:
        """Accept faults for the next requests, from a test in another process. An empty list clears the queue."""
        refused = self._refusal_of_control()
        if refused is not None:
            self.close_connection = True  # its body is not read
            return self._answer(refused)
        request = self._received()
        if request is None:
            return
        try:
            self.context.faults.script(request.body)
        except ValueError as error:
            return self._answer(refusal(400, str(error)))
        self._answer(Reply(204))

    def _refusal_of_control(self) -> Reply | None:
        """The refusal of a request that isn't from a test on this machine: from another one, or a page in a browser."""
        length = self.headers.get("Content-Length", "")
        if not is_loopback(self.client_address[0]):
            return refusal(403, "Only from this machine")
        if "Origin" in self.headers or "Sec-Fetch-Site" in self.headers:
            return refusal(403, "Not from a page in a browser")
        if not is_loopback(
            urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
        ):
            # Another name may be anyone's.
            return refusal(403, "Only under this machine's own name")
        if self.command != "POST":
            return refusal(405, "Only by POST")
        if not (length.isascii() and length.isdigit()):
            return refusal(411, "Only with a length")
        if _is_too_long(length):
            return refusal(413, f"At most {CONTROL_BYTES} bytes")
        return None


def _is_too_long(length: str) -> bool:
    # Python refuses to read a number of thousands of digits.
    return len(length) > len(str(CONTROL_BYTES)) or int(length) > CONTROL_BYTES


def is_loopback(host: str) -> bool:
    """True for a name or address under which only this machine reaches itself."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class SandboxServer:
    """A stand-in for LinkedIn at `url`, from `start` to `stop`. Port 0 chooses any free one.

    It speaks HTTP/1.1 on a real socket, with kept-alive connections and one thread for each. `start` raises OSError if
    the port is taken. A request that is never answered is kept open for `hold_seconds`. With a `key` the server proves
    itself to anyone who has the same key (`capi.linkedin.sandbox.messages`).
    """

    def __init__(
        self,
        host: str,
        port: int,
        ledger: RequestLog,
        *,
        hold_seconds: float = 60,
        key: bytes | None = None,
    ) -> None:
        self.host = host
        self.port = port
        self._context = ServerContext(ledger, hold_seconds, key=key)
        self._listener: Listener | None = None

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def ledger(self) -> RequestLog:
        return self._context.ledger

    @property
    def faults(self) -> Faults:
        return self._context.faults

    def start(self) -> Self:
        self._context.stopping.clear()
        self._listener = Listener((self.host, self.port), self._context)
        self.port = self._listener.server_address[1]
        threading.Thread(
            target=self._listener.serve_forever,
            args=(0.05,),
            name="sandbox",
            daemon=True,
        ).start()
        return self

    def stop(self) -> None:
        """Close the port and every connection, even those that wait for an answer."""
        self._context.stopping.set()
        if self._listener:
            self._listener.shutdown()
            self._listener.server_close()
            self._listener.hang_up()
            self._listener = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()


class Listener(socketserver.TCPServer):
    """The listening socket. It keeps track of its connections, so that none outlives it."""

    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], context: ServerContext) -> None:
        self._connections: dict[socket.socket, threading.Thread] = {}
        super().__init__(address, partial(Handler, context=context))

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(
            target=self._serve, args=(request, client_address), daemon=True
        )
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
        """Log our own errors, but not a client that hangs up."""
        if not isinstance(sys.exception(), ConnectionError):
            logger.exception("The sandbox could not answer a request")

    def hang_up(self) -> None:
        """Close the remaining connections, and wait for their threads."""
        for connection, thread in list(self._connections.items()):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=5)
