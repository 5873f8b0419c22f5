"""How a sandbox proves whose it is: it answers a challenge with a key that only its installation knows.

A port is no proof. Whatever else listens there would be sent access tokens.
"""

import contextlib
import hashlib
import hmac
import secrets
import socket
import time
from typing import Final

PATH: Final = "/_proof"
MAX_BYTES: Final = 2_000  # of an answer; ours has 200


def answer(challenge: str, *, key: bytes, port: int) -> str:
    """What proves that a sandbox with this key listens on this port. (A stranger can't pass on what another says.)"""
    return hmac.new(key, f"{port} {challenge}".encode(), hashlib.sha256).hexdigest()


def is_given(*, key: bytes, port: int, seconds: float) -> bool:
    """True if a sandbox with this key listens on this port of this machine. Asks once; takes `seconds` at most."""
    challenge = secrets.token_hex(16)
    request = f"GET {PATH}?{challenge} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    said = _said(request.encode(), port=port, seconds=seconds)
    return hmac.compare_digest(said.rpartition(b"\r\n\r\n")[2], answer(challenge, key=key, port=port).encode())


def _said(request: bytes, *, port: int, seconds: float) -> bytes:
    """What comes back until its end, the limit or the end of the time. An HTTP client waits so long for each byte."""
    ends_at = time.monotonic() + seconds
    said = b""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=seconds) as line:
        line.sendall(request)
        while len(said) < MAX_BYTES and (left := ends_at - time.monotonic()) > 0:
            line.settimeout(left)
            if not (data := line.recv(MAX_BYTES)):
                break
            said += data
    return said
