"""The HTTP client for LinkedIn, the only one in the product."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool

from capi.linkedin.decisions import Answer, TransportError
from capi.linkedin.transport import Watch, pool_for

MAX_BODY_BYTES = 1024 * 1024

_IS_SENDABLE_TOKEN = re.compile(r"[\x21-\x7e]+")
_IS_LENGTH = re.compile(r"[0-9]{1,15}")
_UNSENDABLE = "The access token contains characters that can't be sent. Paste it again."
_HEADERS = {
    "Accept-Encoding": "identity",
    "User-Agent": "LeadMachine",
    "X-Restli-Protocol-Version": "2.0.0",
}


class Client:
    """Sends requests to LinkedIn over one kept-alive connection. A client belongs to one thread.

    `timeout` is the wall-clock limit in seconds of a whole exchange, from connect to the answer's last byte;
    `connect_timeout` is that of connecting to one address. (A DNS query counts, but can't be interrupted.)
    """

    def __init__(
        self, *, base_url: str, version: str, timeout: float, connect_timeout: float
    ) -> None:
        self._timeout = timeout
        self._watch = Watch()
        self._session = _Session(
            base_url,
            pool_for(base_url, watch=self._watch, connect_timeout=connect_timeout),
        )
        self._base_url, self._headers = (
            base_url,
            {**_HEADERS, "LinkedIn-Version": version},
        )
        url, headers = (
            f"{base_url}/rest/conversionEvents",
            {**self._headers, "Content-Type": "application/json"},
        )
        self._single = requests.Request("POST", url, headers).prepare()
        self._batch = requests.Request(
            "POST", url, {**headers, "X-RestLi-Method": "BATCH_CREATE"}
        ).prepare()

    def send(self, *, token: str, body: bytes, batch: bool) -> Answer:
        """POST the body with this token once. Retries are up to the caller.

        Raises nothing, whatever the network or LinkedIn does, except ValueError if the token is not a valid header
        value. Its message does not contain the token.
        """
        if not _IS_SENDABLE_TOKEN.fullmatch(token):
            token = ""  # error reports show the locals of each frame
            raise ValueError(_UNSENDABLE)
        return self._send(self.prepared(body=body, batch=batch), token, self._timeout)

    def prepared(self, *, body: bytes, batch: bool) -> requests.PreparedRequest:
        """The request that `send` sends for this body, without the token."""
        request = (self._batch if batch else self._single).copy()
        request.prepare_body(body, files=None)
        return request

    def get(self, *, token: str, target: str, seconds: float) -> Answer:
        """GET this path and query, which must be encoded already, with this token, within `seconds`.

        Raises as `send` does.
        """
        if not _IS_SENDABLE_TOKEN.fullmatch(token):
            token = ""
            raise ValueError(_UNSENDABLE)
        request = requests.Request(
            "GET", self._base_url + target, self._headers
        ).prepare()
        return self._send(request, token, seconds)

    def close(self) -> None:
        """Close the connection. A closed client can send nothing more."""
        self._session.close()

    def _send(
        self, request: requests.PreparedRequest, token: str, seconds: float
    ) -> Answer:
        request.headers["Authorization"] = f"Bearer {token}"
        self._watch.start(seconds)
        answer = self._exchange(request)
        return _without(token, answer)

    def _exchange(self, request: requests.PreparedRequest) -> Answer:
        try:
            with self._session.send(
                request, stream=True, allow_redirects=False, proxies={}, timeout=None
            ) as response:
                return self._read(response)
        # The parsers below raise more than they document, and it all means the same.
        except Exception:
            return self._failed(self._error())

    def _read(self, response: requests.Response) -> Answer:
        headers = {name.lower(): value for name, value in response.headers.items()}
        if 300 <= response.status_code < 400:
            return self._failed(TransportError.REDIRECT, response.status_code, headers)
        if not _is_readable(headers):
            return self._failed(TransportError.CUT)
        body = _body(response)
        if len(body) > MAX_BODY_BYTES:
            return self._failed(TransportError.TOO_LARGE, response.status_code, headers)
        if self._watch.has_surplus:
            return self._failed(TransportError.CUT)
        return Answer(response.status_code, headers, body, None, self._watch.elapsed_ms)

    def _failed(
        self,
        trouble: TransportError,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        return Answer(
            status,
            headers or {},
            b"",
            trouble,
            self._watch.elapsed_ms,
            self._watch.has_sent,
        )

    def _error(self) -> TransportError:
        # What was read from the socket says more than the exception, which has passed through three libraries.
        if self._watch.is_over:
            return TransportError.TIMED_OUT
        if self._watch.received_anything:
            return TransportError.CUT
        return TransportError.UNREACHABLE


class _Session(requests.Session):
    """A session for one host, which ignores the environment (.netrc, proxies) and redirects.

    It only gets prepared requests, so it adds nothing to them, such as a cookie from another company's answer.
    """

    def __init__(self, base_url: str, pool: HTTPConnectionPool) -> None:
        super().__init__()
        # A .netrc would replace our Authorization (psf/requests#3929).
        self.trust_env = False
        self.adapters.clear()
        self.mount(base_url, _Adapter(pool))

    def get_redirect_target(self, resp: Any) -> None:
        """None: otherwise requests reads a redirect's whole body to prepare a request that we never send."""


class _Adapter(HTTPAdapter):
    """Sends every request through the one pool."""

    def __init__(self, pool: HTTPConnectionPool) -> None:
        super().__init__()
        self._pool = pool

    def get_connection_with_tls_context(
        self, *args: Any, **kwargs: Any
    ) -> HTTPConnectionPool:
        return self._pool

    def close(self) -> None:
        self._pool.close()


def _is_readable(headers: Mapping[str, str]) -> bool:
    # http.client ignores a length or encoding that it can't read, and then reads until the connection is closed.
    return (
        headers.get("content-encoding", "identity").lower() == "identity"
        and headers.get("transfer-encoding", "chunked").lower() == "chunked"
        and _IS_LENGTH.fullmatch(headers.get("content-length", "0")) is not None
    )


def _body(response: requests.Response) -> bytes:
    body = bytearray()
    while len(body) <= MAX_BODY_BYTES and (
        chunk := response.raw.read(64 * 1024, decode_content=False)
    ):
        body += chunk
    return bytes(body)


def _without(token: str, answer: Answer) -> Answer:
    if token.encode() not in answer.body:
        return answer
    body = answer.body.replace(token.encode(), "•••".encode())
    return replace(answer, body=body)
