"""This thread's connection to LinkedIn, kept alive between requests."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from django.conf import settings

from capi.delivery import own_sandbox
from capi.linkedin.client import Client
from capi.linkedin.decisions import Answer, TransportError

logger = logging.getLogger(__name__)

NOT_SENT: Final = Answer(None, {}, b"", TransportError.UNREACHABLE, 0, was_sent=False)

_local = threading.local()


class SandboxClient(Client):
    """Makes the sandbox prove itself before each request, in 0.3 ms: another program may have its port by now."""

    def send(self, *, token: str, body: bytes, batch: bool) -> Answer:
        if _sandbox_is_ours():
            return super().send(token=token, body=body, batch=batch)
        return NOT_SENT

    def get(self, *, token: str, target: str, seconds: float) -> Answer:
        if _sandbox_is_ours():
            return super().get(token=token, target=target, seconds=seconds)
        return NOT_SENT


def _sandbox_is_ours() -> bool:
    if is_ours := own_sandbox.proves_itself():
        return is_ours
    logger.error(
        "No sandbox of this installation answers on port %s: nothing was sent there.",
        settings.LINKEDIN_SANDBOX_PORT,
    )
    return False


def client() -> Client:
    """This thread's client: a new one if a setting that it depends on has changed."""
    options: dict[str, Any] = {
        "base_url": settings.LINKEDIN_API_URL,
        "version": settings.LINKEDIN_API_VERSION,
        "timeout": settings.SEND_TIMEOUT_SECONDS,
        "connect_timeout": settings.CONNECT_TIMEOUT_SECONDS,
    }
    key = (options, settings.LINKEDIN_SANDBOX, settings.LINKEDIN_SANDBOX_PORT)
    if getattr(_local, "key", None) != key:
        close()
        kind = SandboxClient if own_sandbox.is_used() else Client
        _local.key, _local.client = key, kind(**options)
    return _local.client  # type: ignore[no-any-return]


def close() -> None:
    """Close this thread's connection, if it has one. The next request opens a new one, even to the same address."""
    if hasattr(_local, "client"):
        _local.client.close()
        del _local.key, _local.client


def send(
    *, token: str, body: bytes, batch: bool, meanwhile: Callable[[], None] | None = None
) -> Answer:
    """`Client.send` over this thread's connection. Calls `meanwhile` during the request, if there is one.

    `meanwhile` must not raise: the answer would be lost.
    """
    if meanwhile is None:
        return client().send(token=token, body=body, batch=batch)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="linkedin") as sender:
        answer = sender.submit(client().send, token=token, body=body, batch=batch)
        meanwhile()
    return answer.result()
