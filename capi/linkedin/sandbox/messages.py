"""What comes in and what goes out, and the shapes of LinkedIn's error bodies."""

import contextlib
import hashlib
import hmac
import json
import secrets
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NoReturn


@dataclass(frozen=True)
class Received:
    """One request as it came in. The names of `headers` are lower-case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def document(self) -> Any:
        """The JSON of the body. Raises ValueError where it is not JSON, NaN and Infinity included."""
        try:
            return json.loads(self.body.decode(), parse_constant=_refuse_constant)
        except RecursionError:
            raise ValueError("nested too deeply") from None

    @property
    def version(self) -> str:
        return self.headers.get("linkedin-version", "")

    @property
    def is_batch(self) -> bool:
        return self.headers.get("x-restli-method", "").upper() == "BATCH_CREATE"

    @property
    def token(self) -> str:
        """The bearer token, "" where there is none."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    @property
    def token_fingerprint(self) -> str:
        """Tells tokens apart without showing them: 12 hex digits of the SHA-256, "" without a token."""
        return hashlib.sha256(self.token.encode()).hexdigest()[:12] if self.token else ""


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. A `status` of None is no answer at all: the connection is held, then closed."""

    status: int | None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def json_reply(status: int, content: Any, headers: Mapping[str, str] | None = None) -> Reply:
    body = json.dumps(content, separators=(",", ":")).encode()
    return Reply(status, body, {"Content-Type": "application/json", **(headers or {})})


def refusal(status: int, message: str) -> Reply:
    """The form with two fields: what the endpoint itself says (400, 403, 422)."""
    return json_reply(status, {"message": message, "status": status})


def coded_refusal(status: int, code: str, message: str, service_error_code: int | None = None) -> Reply:
    """The form with a code, with or without the number of LinkedIn's older error lists."""
    content: dict[str, Any] = {"status": status}
    if service_error_code is not None:
        content["serviceErrorCode"] = service_error_code
    return json_reply(status, content | {"code": code, "message": message})


def gateway_refusal(status: int, code: str, message: str) -> Reply:
    """What the gateway says before the endpoint has seen the request."""
    content = {"status": status, "code": code, "message": message}
    return json_reply(status, content, {"X-RestLi-Gateway-Error": "true"})


# --- How a sandbox proves whose it is: it answers a challenge with a key that only its installation knows.

PROOF_PATH: Final = "/_proof"
PROOF_MAX_BYTES: Final = 2_000  # of an answer; ours has 200


def prove(challenge: str, *, key: bytes, port: int) -> str:
    """What proves that a sandbox with this key listens on this port. (A stranger can't pass on what another says.)"""
    return hmac.new(key, f"{port} {challenge}".encode(), hashlib.sha256).hexdigest()


def is_proved(*, key: bytes, port: int, seconds: float) -> bool:
    """True if a sandbox with this key listens on this port of this machine. Asks once; takes `seconds` at most."""
    challenge = secrets.token_hex(16)
    request = f"GET {PROOF_PATH}?{challenge} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    said = _said(request.encode(), port=port, seconds=seconds)
    return hmac.compare_digest(said.rpartition(b"\r\n\r\n")[2], prove(challenge, key=key, port=port).encode())


def _said(request: bytes, *, port: int, seconds: float) -> bytes:
    """What comes back until its end, the limit or the end of the time. An HTTP client waits so long for each byte."""
    ends_at = time.monotonic() + seconds
    said = b""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=seconds) as line:
        line.sendall(request)
        while len(said) < PROOF_MAX_BYTES and (left := ends_at - time.monotonic()) > 0:
            line.settimeout(left)
            if not (data := line.recv(PROOF_MAX_BYTES)):
                break
            said += data
    return said
