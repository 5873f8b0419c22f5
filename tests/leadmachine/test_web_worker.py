"""The sockets of a web process: each kind of slow client has a deadline, and none of them has a thread."""

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from wsgiref.util import FileWrapper

import pytest
from waitress import wasyncore

from crm.accounts.bodies import MAX_UPLOAD_BODY_BYTES
from leadmachine import web_worker
from leadmachine.fair_dispatcher import FairDispatcher
from leadmachine.web_worker import (
    BODY_SECONDS,
    HEAD_SECONDS,
    IDLE_SECONDS,
    READ_SECONDS,
    UPLOAD_SECONDS,
    Server,
    WebWorker,
)

HEAD = b"GET / HTTP/1.1\r\nHost: crm.example.com\r\n"
POST = b"POST / HTTP/1.1\r\nHost: crm.example.com\r\nContent-Length: 100\r\n\r\nhalf"


class Web:
    """A server on a real socket, whose event loop the test runs."""

    def __init__(self, pages: int) -> None:
        self.connections: dict[int, Any] = {}
        self.dispatcher = FairDispatcher(1)
        self.page = b"x" * 1000 * pages
        self.says_length = False
        self.file: Path | None = None
        self.served: list[str] = []
        self.clients: list[socket.socket] = []
        listener = socket.create_server(("127.0.0.1", 0))
        # Or the kernel would take a page whole.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        worker = SimpleNamespace(
            cfg=SimpleNamespace(threads=1, backlog=64, worker_connections=100)
        )
        self.server = Server(
            self.answer, self.connections, dispatcher=self.dispatcher, adj=WebWorker._adjustments(worker),
            _sock=listener, bind_socket=False,
            sockinfo=(listener.family, listener.type, 0, listener.getsockname()),
        )  # fmt: skip
        self.address = listener.getsockname()

    def answer(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterator[bytes]:
        self.served.append(environ["REQUEST_METHOD"])
        if self.file is not None:
            start_response(
                "200 OK", [("Content-Length", str(self.file.stat().st_size))]
            )
            wrapper: Callable[..., Iterator[bytes]] = environ.get(
                "wsgi.file_wrapper", FileWrapper
            )
            return wrapper(self.file.open("rb"))
        length = [("Content-Length", str(len(self.page)))] if self.says_length else []
        start_response("200 OK", [("Content-Type", "text/plain"), *length])
        return iter(
            [self.page[at : at + 1000] for at in range(0, len(self.page), 1000)]
        )

    def connect(self, *sent: bytes, reads_slowly: bool = True) -> socket.socket:
        client = socket.create_connection(self.address, timeout=10)
        if reads_slowly:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.clients.append(client)
        for part in sent:
            client.sendall(part)
        self.turn_until(lambda: bool(self.server.active_channels))
        return client

    def turn_until(self, what: Callable[[], bool]) -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            wasyncore.loop(timeout=0.05, use_poll=True, map=self.connections, count=1)
            if what():
                return
        raise AssertionError("it never came to that")

    @property
    def channel(self) -> Any:
        [channel] = self.server.active_channels.values()
        return channel

    def after(self, seconds: float) -> bool:
        """True if the only connection is still open so many seconds later."""
        self.server.maintenance(time.time() + seconds)
        return bool(self.server.active_channels)

    def close(self) -> None:
        self.dispatcher.shutdown()
        wasyncore.close_all(self.connections)
        for client in self.clients:
            client.close()


@pytest.fixture
def make_web() -> Iterator[Callable[..., Web]]:
    made: list[Web] = []

    def make(*, pages: int = 1) -> Web:
        made.append(Web(pages))
        return made[-1]

    yield make
    for web in made:
        web.close()


@pytest.fixture
def web(make_web: Callable[..., Web]) -> Web:
    return make_web()


def is_closed(client: socket.socket) -> bool:
    try:
        return not client.recv(1)
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(
    ("sent", "seconds"), [((), HEAD_SECONDS), ((HEAD,), HEAD_SECONDS), ((POST,), BODY_SECONDS)],
    ids=["silent", "half a head", "half a body"],
)  # fmt: skip
def test_whoever_does_not_send_a_whole_request_is_cut_off_at_the_deadline(
    web, sent, seconds
) -> None:
    client = web.connect(*sent)
    web.turn_until(lambda: not sent or web.channel.request is not None)

    assert web.after(seconds - 1)
    assert not web.after(seconds + 1)
    assert is_closed(client)
    assert web.served == []


@pytest.mark.parametrize("begun", [HEAD, POST], ids=["head", "body"])
def test_a_byte_now_and_then_puts_no_deadline_off(web, begun, monkeypatch) -> None:
    client = web.connect(begun)
    web.turn_until(lambda: web.channel.request is not None)
    at = web.channel._began

    for seconds in range(1, 60):
        monkeypatch.setattr(
            web_worker.time, "time", lambda seconds=seconds: at + seconds
        )
        if not web.server.active_channels:
            break
        client.sendall(b"x")
        seen = web.channel.last_activity
        web.turn_until(
            lambda seen=seen: (
                not web.server.active_channels or web.channel.last_activity != seen
            )
        )
    web.server.maintenance(at + BODY_SECONDS + 1)

    assert not web.server.active_channels


def test_a_request_that_has_arrived_has_no_deadline_of_the_clients(web) -> None:
    web.connect()
    web.channel.requests = ["one that takes long"]

    assert web.after(10_000)


def test_a_connection_that_is_kept_may_be_silent_for_longer_than_a_new_one(web) -> None:
    client = web.connect(HEAD + b"\r\n")
    web.turn_until(lambda: web.served == ["GET"] and not web.channel.requests)
    client.recv(100)

    assert web.after(IDLE_SECONDS - 1)
    assert not web.after(IDLE_SECONDS + 1)


def test_a_page_that_nobody_reads_leaves_its_thread_at_once_and_is_dropped(
    make_web,
) -> None:
    web = make_web(pages=900)  # as much as is kept for a client that reads slowly

    web.connect(HEAD + b"\r\n")
    web.turn_until(lambda: bool(web.served) and not web.channel.requests)
    second = web.connect()
    second.sendall(HEAD + b"\r\n")
    web.turn_until(lambda: len(web.served) == 2)  # by the only thread

    web.server.maintenance(time.time())
    web.server.maintenance(time.time() + READ_SECONDS + 1)
    assert not web.server.active_channels


def test_a_slow_reader_of_a_long_response_gives_its_thread_back_at_the_deadline(
    make_web,
) -> None:
    web = make_web(pages=10_000)
    web.connect(HEAD + b"\r\n")
    web.turn_until(lambda: web.channel.total_outbufs_len > web_worker.UNREAD)

    assert web.after(0)
    assert not web.after(READ_SECONDS + 1)

    web.page = b"short"
    other = web.connect(HEAD + b"\r\n")
    web.turn_until(lambda: len(web.served) == 2)
    assert other.recv(12) == b"HTTP/1.1 200"


def test_whoever_reads_on_gets_a_long_response_to_its_end(make_web) -> None:
    web = make_web(pages=3_000)
    client = web.connect(HEAD + b"Connection: close\r\n\r\n", reads_slowly=False)
    client.setblocking(False)
    got, now = 0, time.time()

    def read() -> bool:
        nonlocal got, now
        if web.server.active_channels and web.channel._read > web_worker.READ_BYTES:
            now += READ_SECONDS - 1  # one period after the other goes by
            web.server.maintenance(now)
        try:
            while part := client.recv(65_536):
                got += len(part)
        except BlockingIOError:
            return False
        return True

    web.turn_until(read)

    assert got > 3_000_000


def test_a_file_takes_no_thread_however_slowly_it_is_read(web, tmp_path) -> None:
    web.file = tmp_path / "file"
    web.file.write_bytes(b"x" * 5_000_000)

    for served in (1, 2):  # one after the other by the only thread, while no one reads
        web.connect(HEAD + b"\r\n")
        web.turn_until(lambda served=served: len(web.served) == served)

    assert web.after(READ_SECONDS - 1)
    assert not web.after(2 * READ_SECONDS)


@pytest.mark.parametrize("kind", ["file", "page", "page of unknown length"])
def test_nothing_follows_the_head_of_a_response_to_head(web, tmp_path, kind) -> None:
    """Behind a proxy that keeps the connection open, what follows would become the response to someone else."""
    if kind == "file":
        web.file = tmp_path / "file"
        web.file.write_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
    web.says_length = kind == "page"
    # That one is closed.
    again = (
        b"" if kind == "page of unknown length" else HEAD + b"Connection: close\r\n\r\n"
    )
    client = web.connect(
        HEAD.replace(b"GET", b"HEAD") + b"\r\n" + again, reads_slowly=False
    )
    client.setblocking(False)
    got = b""

    def read() -> bool:
        nonlocal got
        try:
            while part := client.recv(65_536):
                got += part
        except BlockingIOError:
            return False
        return True

    web.turn_until(read)

    first, rest = got.split(b"\r\n\r\n", 1)
    assert first.startswith(b"HTTP/1.1 200 OK")
    assert b"Content-Length" in first or not again
    assert (
        rest.startswith(b"HTTP/1.1 200 OK\r\nConnection: close")
        if again
        else rest == b""
    )


def test_a_head_that_is_too_long_and_a_body_that_is_too_large_are_refused_before_they_arrive(
    web,
) -> None:
    long = web.connect(b"GET / HTTP/1.1\r\nX: " + b"x" * web_worker.LARGEST_HEAD)
    web.turn_until(lambda: not web.server.active_channels)
    assert long.recv(12)[9:] == b"431"

    large = web.connect(
        b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
        % (web_worker.MAX_BODY_BYTES + 1)
    )
    web.turn_until(lambda: not web.server.active_channels)
    assert large.recv(12)[9:] == b"413"
    assert web.served == []


@pytest.mark.parametrize(
    "path",
    [
        b"/leads/import/",
        b"/leads/7/files/",
        b"/deals/7/files/",
        b"/notes/7/files/",
        b"/api/v1/files/",
        b"/api/v1/imports/",
    ],
)
def test_a_file_may_be_larger_and_slower_than_any_other_body(web, path) -> None:
    head = b"POST %s%s HTTP/1.1\r\nContent-Length: %d\r\n\r\n"

    web.connect(head % (path, b"?x=1", MAX_UPLOAD_BODY_BYTES))
    web.turn_until(
        lambda: web.server.active_channels and web.channel.request is not None
    )
    assert not web.after(UPLOAD_SECONDS + 1)
    for more, size in (
        (b"1/", MAX_UPLOAD_BODY_BYTES),
        (b"", MAX_UPLOAD_BODY_BYTES + 1),
        (b"", 3 * 2**30),
    ):
        refused = web.connect(head % (path, more, size))
        web.turn_until(lambda: not web.server.active_channels)
        assert refused.recv(12)[9:] == b"413"
    assert web.served == []
