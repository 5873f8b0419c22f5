"""Slow clients against two web processes, with and without the proxy of docker-compose.yml: pages answer as usual."""

import contextlib
import os
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import requests

from tests.faults.processes import Processes, command, free_port, wait_for
from tests.size import sized

pytestmark = pytest.mark.processes

CLIENTS = sized(2_000, small=80)
HEAD = b"GET /static/app.css HTTP/1.1\r\nHost: 127.0.0.1\r\n"
NOT_WHOLE = (
    b"",
    HEAD,
    b"POST /login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2000\r\n\r\nusername=",
)


@pytest.fixture
def web(tmp_path) -> Iterator[Processes]:
    """Two web processes. These pages need no table."""
    processes = Processes(
        tmp_path, port=free_port(), DATABASE_URL=os.environ["DATABASE_URL"]
    )
    processes.start("web", command("web"), WEB_CONCURRENCY="2")
    processes.wait_for_web()
    yield processes
    processes.stop()


@pytest.fixture(params=["alone", "behind the proxy"])
def port(request, web) -> int:
    """Where clients connect to."""
    if request.param == "alone":
        return web.port
    port = free_port()
    web.start(
        "proxy", ["caddy", "run", "--adapter", "caddyfile", "--config", "deploy/caddy/Caddyfile"],
        LEADMACHINE_SITE=f"http://127.0.0.1:{port}", LEADMACHINE_WEB=f"127.0.0.1:{web.port}",
        HOME=str(web.folder),
    )  # fmt: skip
    wait_for(lambda: _listens(port), seconds=30, told="the proxy listens")
    return port


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def files() -> None:
    """A file descriptor for each client."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (min(hard, max(soft, CLIENTS + 1_000)), hard)
    )


def connected(port: int, sent: bytes) -> socket.socket:
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    client.settimeout(10)
    client.connect(("127.0.0.1", port))
    client.sendall(sent)
    return client


def is_open(client: socket.socket) -> bool:
    """True if the server has neither answered nor closed the connection."""
    client.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        client.recv(1)
        return False
    return True


@pytest.mark.sized
def test_pages_answer_while_slow_clients_of_four_kinds_hold_their_connections(
    web, port, files
) -> None:
    with ExitStack() as clients:
        # They get a first byte before they stop reading: this is about slow clients, not about many requests.
        for _ in range(CLIENTS // 4):
            clients.enter_context(connected(port, HEAD + b"\r\n")).recv(1)
        late = [
            clients.enter_context(connected(port, sent))
            for sent in NOT_WHOLE
            for _ in range(CLIENTS // 4)
        ]

        assert all(map(is_open, late))

        # requests raises if an answer takes longer than its timeout. With gunicorn's threads each of these did.
        answers = [
            requests.get(f"http://127.0.0.1:{port}{path}", timeout=10)
            for path in ["/healthz", "/password/reset/", "/static/app.css"] * 5
        ]

        assert [answer.status_code for answer in answers] == [200] * 15
        slowest = max(answer.elapsed for answer in answers).total_seconds()
        print(
            f"\nbeside {CLIENTS:,} slow clients, the slowest of {len(answers)} answers took {slowest:.3f} s"
        )

    assert set(web.stop().values()) == {0}
    assert "Traceback" not in web.log("web")
