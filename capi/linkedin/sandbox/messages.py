"""Requests and replies of the sandbox, and the forms of LinkedIn's error bodies."""

import contextlib
import hashlib
import hmac
import json
import secrets
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property  # noqa: TID251 - it only parses, and has no Django here
from typing import Any, Final, NoReturn


@dataclass(frozen=True)
class IncomingRequest:
    """One request as received. The names of `headers` are lower-case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def document(self) -> Any:
        """The JSON of the body. Raises ValueError if it isn't JSON, or contains NaN or Infinity."""
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
        """The bearer token, "" without one."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    @property
    def token_fingerprint(self) -> str:
        """Distinguishes tokens without showing them: 12 hex digits of the SHA-256, "" without a token."""
        return (
            hashlib.sha256(self.token.encode()).hexdigest()[:12] if self.token else ""
        )


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. A `status` of None means no answer at all: the connection is kept open, then closed."""

    status: int | None
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def json_reply(
    status: int, content: Any, headers: Mapping[str, str] | None = None
) -> Reply:
    body = json.dumps(content, separators=(",", ":")).encode()
    return Reply(status, body, {"Content-Type": "application/json", **(headers or {})})


def refusal(status: int, message: str) -> Reply:
    """An error of the endpoint itself (400, 403, 422): two fields."""
    return json_reply(status, {"message": message, "status": status})


def coded_refusal(
    status: int, code: str, message: str, service_error_code: int | None = None
) -> Reply:
    """An error with a code, with or without the number of LinkedIn's older error lists."""
    content: dict[str, Any] = {"status": status}
    if service_error_code is not None:
        content["serviceErrorCode"] = service_error_code
    return json_reply(status, content | {"code": code, "message": message})


def gateway_refusal(status: int, code: str, message: str) -> Reply:
    """An error of the gateway, before the endpoint has seen the request."""
    content = {"status": status, "code": code, "message": message}
    return json_reply(status, content, {"X-RestLi-Gateway-Error": "true"})


# --- Proof of identity: the sandbox answers a challenge with a key that only its installation knows.

PROOF_PATH: Final = "/_proof"
PROOF_MAX_BYTES: Final = 2_000  # of an answer; ours has 200 bytes


def prove(challenge: str, *, key: bytes, port: int) -> str:
    """The proof that a sandbox with this key listens on this port. It includes the port, so that none can relay it."""
    return hmac.new(key, f"{port} {challenge}".encode(), hashlib.sha256).hexdigest()


def is_proved(*, key: bytes, port: int, seconds: float) -> bool:
    """True if a sandbox with this key listens on this port of this machine. One request, of at most `seconds`."""
    challenge = secrets.token_hex(16)
    request = f"GET {PROOF_PATH}?{challenge} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n"
    answer = _exchange(request.encode(), port=port, seconds=seconds)
    return hmac.compare_digest(
        answer.rpartition(b"\r\n\r\n")[2], prove(challenge, key=key, port=port).encode()
    )


def _exchange(request: bytes, *, port: int, seconds: float) -> bytes:
    """The answer up to its end, the size limit or the time limit. (An HTTP client's timeout is for each read.)"""
    ends_at = time.monotonic() + seconds
    answer = b""
    with (
        contextlib.suppress(OSError),
        socket.create_connection(("127.0.0.1", port), timeout=seconds) as sock,
    ):
        sock.sendall(request)
        while (
            len(answer) < PROOF_MAX_BYTES and (left := ends_at - time.monotonic()) > 0
        ):
            sock.settimeout(left)
            if not (data := sock.recv(PROOF_MAX_BYTES)):
                break
            answer += data
    return answer
