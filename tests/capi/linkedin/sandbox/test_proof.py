"""The sandbox proves whose it is to anyone who has its key, and no other server passes for it."""

import http.client
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from capi.linkedin.sandbox import messages
from capi.linkedin.sandbox.faults import Fault
from capi.linkedin.sandbox.request_log import RequestLog
from capi.linkedin.sandbox.server import SandboxServer

KEY, OTHER_KEY = b"the key of this installation", b"the key of another one"


@pytest.fixture
def sandbox(tmp_path) -> Iterator[SandboxServer]:
    with SandboxServer(
        "127.0.0.1", 0, RequestLog(tmp_path / "ledger.jsonl"), key=KEY
    ) as server:
        yield server


@contextmanager
def stranger(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that accepts one connection and passes it to `talk`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            line, _ = listener.accept()
            with line:
                line.recv(1000)
                talk(line)

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def is_given(port: int, seconds: float = 5) -> bool:
    return messages.is_proved(key=KEY, port=port, seconds=seconds)


def test_the_sandbox_of_this_installation_is_known(sandbox) -> None:
    assert is_given(sandbox.port)


def test_the_sandbox_of_another_installation_is_not(sandbox) -> None:
    assert not messages.is_proved(key=OTHER_KEY, port=sandbox.port, seconds=5)


def test_a_sandbox_without_a_key_proves_nothing(tmp_path) -> None:
    with SandboxServer("127.0.0.1", 0, RequestLog(tmp_path / "ledger.jsonl")) as server:
        assert not is_given(server.port)


def test_a_port_on_which_nobody_listens_is_none() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))

        assert not is_given(taken.getsockname()[1])


def test_the_answer_holds_for_its_port_and_its_challenge_alone(
    sandbox, tmp_path
) -> None:
    with SandboxServer(
        "127.0.0.1", 0, RequestLog(tmp_path / "second.jsonl"), key=KEY
    ) as second:

        def said(port: int, challenge: str) -> bytes:
            line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            line.request("GET", f"{messages.PROOF_PATH}?{challenge}")
            try:
                return line.getresponse().read()
            finally:
                line.close()

        assert said(sandbox.port, "one") == said(sandbox.port, "one")
        assert (
            len(
                {
                    said(sandbox.port, "one"),
                    said(sandbox.port, "two"),
                    said(second.port, "one"),
                }
            )
            == 3
        )


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b"0" * 64,
        b"\xff" * 10_000,
    ],
)
def test_a_stranger_that_answers_anything_else_is_none(answer: bytes) -> None:
    with stranger(lambda line: line.sendall(answer)) as port:
        assert not is_given(port)


def test_a_stranger_that_answers_byte_by_byte_or_never_is_given_up_in_time() -> None:
    def drip(line: socket.socket) -> None:
        try:
            for _ in range(100):
                line.sendall(b"x")
                time.sleep(0.1)
        except OSError:
            pass

    with stranger(drip) as port:
        begun = time.monotonic()

        assert not is_given(port, seconds=0.5)
        assert time.monotonic() - begun < 5  # 10 s without a limit of its own


def test_a_proof_is_no_request_to_linkedin(sandbox) -> None:
    sandbox.faults.add(Fault(status=503))

    assert is_given(sandbox.port)

    assert sandbox.ledger.tail(5) == []
    assert sandbox.faults.take().status == 503
