"""This thread's line to LinkedIn, kept alive between requests."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings

from capi.linkedin.client import Answer, Client

_local = threading.local()


def client() -> Client:
    """The thread's client, made anew when a setting that shapes it has changed."""
    shape: dict[str, Any] = {
        "base_url": settings.LINKEDIN_API_URL,
        "version": settings.LINKEDIN_API_VERSION,
        "timeout": settings.SEND_TIMEOUT_SECONDS,
        "connect_timeout": settings.CONNECT_TIMEOUT_SECONDS,
    }
    if getattr(_local, "shape", None) != shape:
        hang_up()
        _local.shape, _local.client = shape, Client(**shape)
    return _local.client  # type: ignore[no-any-return]


def hang_up() -> None:
    """Close this thread's line, if it has one. The next request opens a new one, even to the same address."""
    if hasattr(_local, "client"):
        _local.client.close()
        del _local.shape, _local.client


def send(*, token: str, body: bytes, batch: bool, meanwhile: Callable[[], None] | None = None) -> Answer:
    """`Client.send` over this thread's line, while this thread does something else where there is something to do.

    `meanwhile` must raise nothing: the answer would be lost with it.
    """
    if meanwhile is None:
        return client().send(token=token, body=body, batch=batch)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="linkedin") as line:
        answer = line.submit(client().send, token=token, body=body, batch=batch)
        meanwhile()
    return answer.result()
