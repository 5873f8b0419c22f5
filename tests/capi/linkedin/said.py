"""Answers as LinkedIn gives them."""

import json
from collections.abc import Mapping
from typing import Any

from capi.linkedin.decisions import Answer, TransportError


def answered(
    status: int, body: Any = b"", headers: Mapping[str, str] | None = None
) -> Answer:
    """A complete answer; a body that isn't bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, headers or {}, data, None, 12)


def troubled(trouble: TransportError, status: int | None = None) -> Answer:
    return Answer(status, {}, b"", trouble, 12)
