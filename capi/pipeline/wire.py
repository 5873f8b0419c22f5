"""This thread's line to LinkedIn, kept alive between requests."""

import threading
from typing import Any

from django.conf import settings

from capi.linkedin.client import Client

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
        if hasattr(_local, "client"):
            _local.client.close()
        _local.shape, _local.client = shape, Client(**shape)
    return _local.client  # type: ignore[no-any-return]
