"""One connection: read a request, have it judged, write it down, answer it, or spoil the answer as scripted."""

import logging
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import responses
from http.server import BaseHTTPRequestHandler
from typing import Any

from capi.sandbox import proof
from capi.sandbox.faults import NO_FAULT, Drop, Fault, Faults
from capi.sandbox.judge import judge
from capi.sandbox.ledger import Entry, Ledger
from capi.sandbox.wire import Received, Reply, refusal

CONTROL_PATH = "/_control"
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Desk:
    """What all connections share."""

    ledger: Ledger
    hold_seconds: float
    faults: Faults = field(default_factory=Faults)
    stopping: threading.Event = field(default_factory=threading.Event)
    key: bytes | None = None  # without one it proves nothing


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, *args: Any, desk: Desk) -> None:
        self.desk = desk
        super().__init__(*args)  # serves the whole connection

    def do_POST(self) -> None:
        if self.path == CONTROL_PATH:
            self._control()
        elif self.path.startswith(f"{proof.PATH}?") and self.desk.key is not None:
            self._prove(self.desk.key)
        else:
            self._exchange(self.desk.faults.take())

    do_GET = do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815 - BaseHTTPRequestHandler looks for these

    def log_message(self, *args: Any) -> None:
        """Nothing: the ledger tells what happened."""

    def _exchange(self, fault: Fault) -> None:
        request = self._received(reads_body=fault.drop != Drop.BEFORE_BODY)
        if request is None:
            return
        now = datetime.now(UTC)
        is_judged = fault.drop != Drop.BEFORE_BODY
        reply = fault.instead_of(judge(request, now=now)) if is_judged else Reply(None)
        self.desk.ledger.append(Entry.of(request, reply, now, fault.as_json()))
        self._answer(reply, fault)

    def _received(self, *, reads_body: bool = True) -> Received | None:
        """The request, None where the caller went away in the middle of its body."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()):
            headers.pop("content-length", None)
            # Without a length nobody can tell where the next request begins.
            self.close_connection = self.close_connection or self.command == "POST" or "transfer-encoding" in headers
            length = "0"
        body = self.rfile.read(int(length)) if reads_body else b""
        if reads_body and len(body) < int(length):
            self.close_connection = True
            return None
        return Received(self.command, self.path, headers, body)

    def _answer(self, reply: Reply, fault: Fault = NO_FAULT) -> None:
        desk = self.desk
        desk.stopping.wait(fault.delay_ms / 1000)
        if fault.drop != Drop.NEVER:
            self.close_connection = True
        elif reply.status is None:
            desk.stopping.wait(desk.hold_seconds)
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
            if self.desk.stopping.wait(fault.drip_ms / 1000):
                return

    def _prove(self, key: bytes) -> None:
        """No request to LinkedIn, so it takes no fault and stands in no ledger."""
        if self._received() is not None:
            port = self.connection.getsockname()[1]
            self._answer(Reply(200, proof.answer(self.path.partition("?")[2], key=key, port=port).encode()))

    def _control(self) -> None:
        """Faults for the next requests, from a test in another process. An empty list clears the queue."""
        request = self._received()
        if request is None:
            return
        if not self.client_address[0].startswith("127."):
            return self._answer(refusal(403, "Only from this machine"))
        try:
            self.desk.faults.script(request.body)
        except ValueError as error:
            return self._answer(refusal(400, str(error)))
        self._answer(Reply(204))
