"""A web process: gunicorn starts, watches and ends it; waitress talks to its clients.

gunicorn's own threads read from clients and write to them, so nine slow clients block a process for as long as they
like. Waitress has one loop for all connections. A thread gets a request once all of it has arrived, and leaves the
response in a buffer. Waitress lacks deadlines that a byte now and then can't put off, a graceful stop, and turns
(leadmachine/fair_dispatcher.py). docs/decisions/slow-clients-cost-no-thread.md has the alternatives.
"""

import copy
import os
import time
from functools import cache
from math import inf
from typing import Any, Final

from gunicorn.workers.base import Worker
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import WSGITask

from crm.accounts.bodies import MAX_UPLOAD_BODY_BYTES, UPLOAD_PATHS
from crm.accounts.callers import Caller, KnownCallers
from leadmachine.fair_dispatcher import FairDispatcher

# Deadlines in seconds. The fault tests set them to small values.
# From the first byte, or the start of a new connection, to the end of the head.
HEAD_SECONDS: float = 10
BODY_SECONDS: float = 60  # for the body, of 2 MB at most
UPLOAD_SECONDS: float = 300  # for one of 25 MB: files, or a list of leads
# Between two requests; a proxy must close its connections earlier.
IDLE_SECONDS: float = 30
# A client with an unread response has to read READ_BYTES in each such period: 4 kB/s.
READ_SECONDS: float = 15
READ_BYTES: Final = 60_000

# For how long a stopping process waits for a client that has sent nothing of a request yet, and for one that has begun.
IDLE_AT_STOP_SECONDS: Final = 1.0
ARRIVING_AT_STOP_SECONDS: Final = 5.0

LARGEST_HEAD: Final = 32 * 1024
# Up to this length, the middleware rejects bodies with a page or JSON (crm/accounts/bodies.py); beyond it, waitress.
MAX_BODY_BYTES: Final = 2 * 1024 * 1024
IN_MEMORY: Final = 64 * 1024  # of a body; the rest is in a temporary file
# A response of up to this size frees its thread at once, however slowly it is read. The largest page has 0.2 MB.
UNREAD_IN_MEMORY: Final = 256 * 1024
UNREAD: Final = 1024 * 1024

CALLERS: Final = KnownCallers()


@cache
def with_room_for_files(adjustments: Adjustments) -> Adjustments:
    """Return a copy of the adjustments with the body limit for uploads of files."""
    larger = copy.copy(adjustments)
    larger.max_request_body_size = MAX_UPLOAD_BODY_BYTES + 1
    return larger


class RequestParser(HTTPRequestParser):
    """A request as it arrives. Only UPLOAD_PATHS accept more than `MAX_BODY_BYTES`."""

    adj: Adjustments
    _is_upload = False

    @property
    def body_seconds(self) -> float:
        return UPLOAD_SECONDS if self._is_upload else BODY_SECONDS

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        self._is_upload = (
            self.command == "POST" and UPLOAD_PATHS.fullmatch(self.path) is not None
        )
        if self._is_upload:
            self.adj = with_room_for_files(self.adj)


class RequestTask(WSGITask):
    """A request. If the process is stopping, its response says that the connection will be closed.

    The response to a HEAD has no body. Django leaves that to its server, and waitress (3.0) to the application. On a
    connection that a proxy keeps, a body would be read as the response to the next request, even another client's.
    """

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        if self._is_head:
            # Waitress would send its file past `write`.
            environ.pop("wsgi.file_wrapper", None)
        return environ

    def write(self, data: bytes) -> None:
        if not self.wrote_header and self.content_length is None:
            self.channel.server.task_dispatcher.leave_share(self.channel)
        super().write(b"" if self._is_head else data)
        if self._is_head:
            self.chunked_response = False  # so no last chunk is sent either

    @property
    def _is_head(self) -> bool:
        return bool(self.request.command == "HEAD")

    def build_response_header(self) -> bytes:
        if not self.channel.server.accepting:
            self.request.headers["CONNECTION"] = "close"
        return bytes(super().build_response_header())


class ClientChannel(HTTPChannel):
    """A connection, and the deadline for the next step of its client."""

    task_class = RequestTask
    parser_class = RequestParser
    _began = 0.0  # when the current request began to arrive
    # When the client got something to read, or when the current period began.
    _behind_since = 0.0
    _read = 0  # bytes that the client has read in this period

    def caller(self) -> Caller:
        """Return who has sent the request that is to be answered next."""
        headers: dict[str, str] = self.requests[0].headers
        as_in_wsgi = {f"HTTP_{name}": value for name, value in headers.items()}
        return CALLERS.find({"REMOTE_ADDR": self.addr[0], **as_in_wsgi})

    def received(self, data: bytes) -> bool:
        if self.request is None:
            self._began = time.time()
        return bool(super().received(data))

    def send(self, data: bytes, do_close: bool = True) -> int:
        sent: int = super().send(data, do_close=do_close)
        self._read += sent
        return sent

    def stop_seconds(self) -> float:
        """Return how many seconds a stopping process waits for this connection; inf until its responses are read."""
        if self.requests or self.total_outbufs_len:
            return inf
        return (
            IDLE_AT_STOP_SECONDS if self.request is None else ARRIVING_AT_STOP_SECONDS
        )

    def is_late(self, now: float) -> bool:
        """Return True if the client has missed its deadline. Called about once a second."""
        if self.total_outbufs_len:
            return self._reads_too_slowly(now)
        self._behind_since = 0.0
        if self.requests:
            return False
        if self.request is None:
            has_sent_nothing = self.last_activity == self.creation_time
            return bool(
                now - self.last_activity
                > (HEAD_SECONDS if has_sent_nothing else IDLE_SECONDS)
            )
        return now - self._began > (
            self.request.body_seconds if self.request.headers_finished else HEAD_SECONDS
        )

    def _reads_too_slowly(self, now: float) -> bool:
        if not self._behind_since or (
            now - self._behind_since > READ_SECONDS and self._read >= READ_BYTES
        ):
            self._behind_since, self._read = now, 0
        return now - self._behind_since > READ_SECONDS


class Server(TcpWSGIServer):
    """The connections that came through one listening socket."""

    channel_class = ClientChannel

    def maintenance(self, now: float) -> None:
        """Close the connections of late clients. Called by waitress once per `cleanup_interval`.

        Closes at once, because `will_close` would wait until the client has read something.
        """
        for channel in [*self.active_channels.values()]:
            if channel.is_late(now):
                channel.handle_close()

    def stop_listening(self) -> None:
        self.accepting = False
        self.del_channel()
        self.socket.close()


class WebWorker(Worker):
    """A gunicorn worker whose sockets waitress handles."""

    _servers: tuple[Server, ...] = ()

    def run(self) -> None:
        connections: dict[int, Any] = {}
        dispatcher = FairDispatcher(self.cfg.threads)
        adjustments = self._adjustments()
        self._servers = tuple(
            Server(
                self._respond,
                connections,
                dispatcher=dispatcher,
                adj=adjustments,
                _sock=listener.sock,
                bind_socket=False,
                sockinfo=(
                    listener.sock.family,
                    listener.sock.type,
                    0,
                    listener.sock.getsockname(),
                ),
            )
            for listener in self.sockets
        )
        while self.alive and self.ppid == os.getppid():
            self._turn(connections)
        self._finish(connections)
        dispatcher.shutdown()

    def handle_exit(self, sig: int, frame: Any) -> None:
        super().handle_exit(sig, frame)
        for server in self._servers:
            server.pull_trigger()  # otherwise the loop would notice only after a second

    def _turn(self, connections: dict[int, Any], seconds: float = 1.0) -> None:
        self.notify()
        wasyncore.loop(timeout=seconds, use_poll=True, map=connections, count=1)

    def _finish(self, connections: dict[int, Any]) -> None:
        """Stop listening, and return once every request that has arrived has its response. gunicorn limits the time."""
        for server in self._servers:
            server.stop_listening()
        began = time.monotonic()
        while self._seconds_needed() > time.monotonic() - began:
            self._turn(connections, seconds=0.1)
            for server in self._servers:
                server.maintenance(time.time())

    def _seconds_needed(self) -> float:
        channels = [
            channel
            for server in self._servers
            for channel in server.active_channels.values()
        ]
        return max((channel.stop_seconds() for channel in channels), default=0)

    def _respond(self, environ: dict[str, Any], start_response: Any) -> Any:
        self.nr += 1
        if self.nr >= self.max_requests:
            self.alive = False
        response = self.wsgi(environ, start_response)
        CALLERS.learn(environ)
        return response

    def _adjustments(self) -> Adjustments:
        return Adjustments(
            threads=self.cfg.threads,
            backlog=self.cfg.backlog,
            connection_limit=self.cfg.worker_connections,
            cleanup_interval=1,
            max_request_header_size=LARGEST_HEAD,
            max_request_body_size=MAX_BODY_BYTES + 1,
            inbuf_overflow=IN_MEMORY,
            outbuf_overflow=UNREAD_IN_MEMORY,
            outbuf_high_watermark=UNREAD,
            # Django decides whether to trust X-Forwarded-For and -Proto (TRUSTED_PROXIES, SECURE_PROXY_SSL_HEADER).
            clear_untrusted_proxy_headers=False,
            ident="",  # no Server header
        )
