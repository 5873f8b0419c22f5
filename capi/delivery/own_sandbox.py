"""The sandbox of this installation: where it listens, and whether it really is the process that listens there."""

import errno
import socket
import time
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.crypto import salted_hmac

from capi.linkedin.sandbox import messages
from capi.linkedin.sandbox.request_log import RequestLog
from capi.linkedin.sandbox.server import SandboxServer

HOST: Final = "127.0.0.1"
STRANGER: Final = (
    "The sandbox can't listen on {host}:{port}: something listens there that is no sandbox of this installation, and "
    "it would be sent access tokens. Stop it, or choose another port: LINKEDIN_SANDBOX_PORT={other} make run "
    "(or PORT, which the sandbox's port follows)."
)


def make(
    *, host: str = HOST, port: int | None = None, ledger: Path | None = None
) -> SandboxServer:
    """A server that can prove itself, not started yet. The defaults are from the settings."""
    ledger = ledger or settings.LINKEDIN_SANDBOX_LEDGER
    port = settings.LINKEDIN_SANDBOX_PORT if port is None else port
    return SandboxServer(host, port, RequestLog(ledger), key=key(ledger))


def key(ledger: Path) -> bytes:
    """A key that only the processes of this installation know, derived from the path of the sandbox's log."""
    return salted_hmac(
        "capi.linkedin.sandbox", str(ledger.resolve()), algorithm="sha256"
    ).digest()


def is_used() -> bool:
    """True if requests go to the port of this installation's sandbox."""
    url = urlsplit(settings.LINKEDIN_API_URL)
    is_here = (
        url.hostname in (HOST, "localhost")
        and url.port == settings.LINKEDIN_SANDBOX_PORT
    )
    return settings.LINKEDIN_SANDBOX and is_here


def proves_itself() -> bool:
    """True if our sandbox listens on its port."""
    return messages.is_proved(
        key=key(settings.LINKEDIN_SANDBOX_LEDGER),
        port=settings.LINKEDIN_SANDBOX_PORT,
        seconds=2.0,
    )


def start(server: SandboxServer) -> bool:
    """Start the server. Returns False if its port is taken."""
    try:
        server.start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return False
    return True


def _is_free() -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, settings.LINKEDIN_SANDBOX_PORT))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
    return True


def refusal() -> str:
    """Why nothing may start: another program has the sandbox's port, and would be sent tokens. "" if none has."""
    if not is_used() or _is_free() or proves_itself():
        return ""
    # Far more than another process of ours takes from binding the port to listening on
    # it.
    time.sleep(0.3)
    if proves_itself():
        return ""
    port = settings.LINKEDIN_SANDBOX_PORT
    return STRANGER.format(host=HOST, port=port, other=port + 100)
