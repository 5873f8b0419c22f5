"""A mail server that keeps talking and never finishes holds no process up for ever."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from django.core.mail import EmailMessage

from leadmachine import smtp
from leadmachine.smtp import SmtpBackend


@pytest.fixture
def dripping() -> Iterator[int]:
    """The port of a server that begins its greeting again and again, and never finishes it."""
    listener = socket.create_server(("127.0.0.1", 0))
    is_over = threading.Event()

    def drip(line: socket.socket) -> None:
        with line, contextlib.suppress(OSError):
            while not is_over.wait(0.1):
                line.sendall(b"220-please wait\r\n")

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(
                    target=drip, args=(listener.accept()[0],), daemon=True
                ).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    is_over.set()
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


@pytest.fixture
def mute() -> Iterator[int]:
    """The port of a server that accepts connections and says nothing, so there is no TLS handshake either."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def given_up(port: int, *, use_ssl: bool, timeout: float = 20) -> float:
    """Send a mail there, which can't work. Returns the seconds until it was given up."""
    backend = SmtpBackend(host="127.0.0.1", port=port, use_ssl=use_ssl, timeout=timeout)
    start = time.monotonic()
    with pytest.raises(OSError):  # noqa: PT011 - which of them, no caller asks
        backend.send_messages(
            [EmailMessage("Hello", "There", "a@example.com", ["b@example.com"])]
        )
    return time.monotonic() - start


def test_a_server_that_goes_on_greeting_is_given_up_in_all(
    dripping, monkeypatch
) -> None:
    monkeypatch.setattr(smtp, "SESSION_SECONDS", 0.5)

    assert 0.5 <= given_up(dripping, use_ssl=False) < 10


def test_so_is_one_that_does_not_come_to_tls(mute, monkeypatch) -> None:
    monkeypatch.setattr(smtp, "SESSION_SECONDS", 0.5)

    assert 0.5 <= given_up(mute, use_ssl=True) < 10


def test_a_short_timeout_for_each_read_ends_the_session_early_too(dripping) -> None:
    assert given_up(dripping, use_ssl=False, timeout=0.2) < smtp.SESSION_SECONDS


def test_settings_choose_it(settings) -> None:
    from tests.leadmachine.test_startup import start

    shown = start("manage.py", "shell", "--command", "from django.conf import settings; print(settings.EMAIL_BACKEND)",
                  EMAIL_URL="smtp+tls://crm:secret@mail.example.com:587")  # fmt: skip

    assert "leadmachine.smtp.SmtpBackend" in shown.stdout
