"""Requests to addresses that people enter: over HTTPS, to hosts that are allowed, never for long, and few at a time.

Such a host can be slow, on purpose or not, and a thread of the web process waits for it. So each company has a share of
these threads: when it is in use, the next page of that company is refused at once, and other companies are not.
"""

import json
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from time import monotonic
from typing import Any, Final, NoReturn, Self
from urllib.parse import urlencode, urlsplit

import urllib3
from django.conf import settings
from urllib3.util import Url, parse_url

from crm.services.deadlines import Deadline
from crm.services.outbound_connections import NotAllowed, pool_for

# For a request, from the look-up of the name to the last byte of the answer.
EXCHANGE_SECONDS: Final = 5.0
PAGE_SECONDS: Final = 10.0  # for all requests of a page
# Pages at a time in each web process, which has eight threads.
MOST_OF_A_COMPANY: Final = 3
MOST_IN_ALL: Final = 6
# Microsoft's keys, the longest of the usual responses, take 20,000.
MAX_BYTES: Final = 512_000
LONGEST_ADDRESS: Final = 2_000  # characters


class Failure(Enum):
    """Why a request failed, as far as the person who entered the address may know.

    A host that doesn't exist and one in our network are the same: no one can find out which names our network has.
    """

    NOT_REACHABLE = "no address on the internet, or none that is allowed"
    NOT_TRUSTED = "a certificate that is not valid, or of an unknown authority"
    NO_CONNECTION = "no connection"
    TOO_SLOW = "no whole answer in time"
    ODD_ANSWER = "an answer that is not what was asked for"


class OutboundError(Exception):
    """The request failed. The message is for the log alone."""

    def __init__(self, message: str, failure: Failure = Failure.ODD_ANSWER) -> None:
        super().__init__(message)
        self.failure = failure


class ShareInUse(Exception):
    """The company's share of the process is in use. The message is for the user."""


def is_safe_address(address: str) -> bool:
    """True for an HTTPS address with a host, without a password or fragment. HTTP only to this machine, if allowed."""
    if len(address) > LONGEST_ADDRESS or not address.isprintable():
        return False
    if " " in address or "#" in address:
        return False
    try:
        parts = urlsplit(address)
        host = parts.hostname
    except ValueError:
        return False
    if not host or "@" in parts.netloc:
        return False
    if settings.OUTBOUND_TO_LOOPBACK and host in ("localhost", "127.0.0.1"):
        return parts.scheme in ("http", "https")
    return parts.scheme == "https"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes

    def json_object(self) -> Mapping[str, Any]:
        """The object in the body. Raises OutboundError."""
        try:
            found = json.loads(self.body, parse_constant=_refuse)
        except (ValueError, RecursionError):
            raise OutboundError(f"The answer ({self.status}) is not JSON.") from None
        if not isinstance(found, dict):
            raise OutboundError(f"The answer ({self.status}) is not a JSON object.")
        return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"JSON has no {constant}.")


class Shares:
    """How many pages of each company wait for such hosts in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: Counter[int] = Counter()

    def take(self, company_id: int) -> None:
        """Raises ShareInUse."""
        with self._lock:
            if (
                self._held[company_id] >= MOST_OF_A_COMPANY
                or self._held.total() >= MOST_IN_ALL
            ):
                raise ShareInUse(
                    "Too many people are waiting for this provider. Try again in a few seconds."
                )
            self._held[company_id] += 1

    def give_back(self, company_id: int) -> None:
        with self._lock:
            self._held[company_id] -= 1
            if not self._held[company_id]:
                del self._held[company_id]


_shares = Shares()


class OutboundClient:
    """The requests of one page for a company: a context manager, which takes one slot of the company's share.

    Follows no redirect, reads no proxy or password from the environment, and at most MAX_BYTES of an answer.
    """

    def __init__(self, *, company_id: int) -> None:
        self._company_id = company_id
        self._ends_at = 0.0

    def __enter__(self) -> Self:
        """Raises ShareInUse."""
        _shares.take(self._company_id)
        self._ends_at = monotonic() + PAGE_SECONDS
        return self

    def __exit__(self, *_: object) -> None:
        self._ends_at = 0.0
        _shares.give_back(self._company_id)

    def get_json(self, url: str, *, token: str = "") -> Mapping[str, Any]:
        """The JSON object at this URL, read with this token. Raises OutboundError, also for a status other than 200."""
        answer = self._send(
            "GET", url, {"Authorization": f"Bearer {token}"} if token else {}, None
        )
        if answer.status != HTTPStatus.OK:
            raise OutboundError(f"The status of the answer is {answer.status}.")
        return answer.json_object()

    def post_form(
        self, url: str, fields: Mapping[str, str], headers: Mapping[str, str]
    ) -> Answer:
        """Post these fields as a form. Raises OutboundError, but for no status."""
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._send("POST", url, {**headers, **kind}, urlencode(fields).encode())

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        seconds = min(EXCHANGE_SECONDS, self._ends_at - monotonic())
        if seconds <= 0:
            raise OutboundError(
                f"The page's requests took more than {PAGE_SECONDS:.0f} seconds.",
                Failure.TOO_SLOW,
            )
        if not is_safe_address(url):
            raise OutboundError("The address is not HTTPS.", Failure.NOT_REACHABLE)
        deadline = Deadline(seconds)
        try:
            return _exchange(method, parse_url(url), headers, body, deadline)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise _explained(error, deadline) from None
        finally:
            deadline.cancel()


def _exchange(
    method: str,
    url: Url,
    headers: Mapping[str, str],
    body: bytes | None,
    deadline: Deadline,
) -> Answer:
    with pool_for(url, deadline) as pool:
        response = pool.urlopen(
            method,
            url.request_uri,
            body=body,
            headers={
                "Accept": "application/json",
                "User-Agent": "LeadMachine",
                **headers,
            },
            redirect=False,
            retries=False,
            preload_content=False,
            timeout=EXCHANGE_SECONDS,
        )
        try:
            content = response.read(MAX_BYTES + 1, decode_content=True)
        finally:
            response.close()
    # A body without a length looks whole when the deadline has ended the connection.
    deadline.seconds_left()
    if len(content) > MAX_BYTES:
        raise OutboundError("The answer is too long.")
    return Answer(response.status, content)


def _explained(error: Exception, deadline: Deadline) -> OutboundError:
    """Why there is no answer."""
    causes = (error, *error.args)  # urllib3 wraps what its connection raised
    if deadline.is_over:
        return OutboundError("There was no whole answer in time.", Failure.TOO_SLOW)
    if any(isinstance(cause, NotAllowed) for cause in causes):
        return OutboundError(
            "The host is not on the internet, and not allowed.", Failure.NOT_REACHABLE
        )
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return OutboundError("The host has no address.", Failure.NOT_REACHABLE)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return OutboundError(
                f"The host's certificate is not valid: {cause.verify_message}.",
                Failure.NOT_TRUSTED,
            )
    text = f"There was no connection, or no valid answer ({type(error).__name__})."
    return OutboundError(text, Failure.NO_CONNECTION)
