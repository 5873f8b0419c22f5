"""The fault proxy itself: what it must not do where it promises silence."""

import contextlib
import socket
import threading

import pytest

from tests.faults.proxy import Proxy


@pytest.fixture
def echo():
    """The address of a server that echoes what it receives."""

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            while data := connection.recv(100):
                connection.sendall(data)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(
                    target=serve, args=(listener.accept()[0],), daemon=True
                ).start()

    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def test_a_silenced_connection_hears_nothing_more_not_even_its_end_and_a_new_one_works(
    echo,
) -> None:
    proxy = Proxy(echo)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as old:
        old.sendall(b"before")
        assert old.recv(100) == b"before"

        assert proxy.silence() == 1

        old.sendall(b"after")
        old.settimeout(0.3)
        with pytest.raises(TimeoutError):
            old.recv(100)
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as new:
            new.sendall(b"hello")
            assert new.recv(100) == b"hello"
    proxy.down()
