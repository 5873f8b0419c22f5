"""What the probes say, in the log once for each change: they are asked every few seconds, by several askers."""

import logging
from threading import Lock
from typing import Final

logger = logging.getLogger(__name__)

# Those that look at other services. The rest log nothing unless they fail.
LOGGED: Final = ("/readyz", "/progressz")

_lock = Lock()
# In this process. Each process finds out for itself, as each is asked for itself.
_last: dict[str, list[str]] = {}


def note(path: str, problems: list[str]) -> None:
    """Log what this probe says, unless it has said the same before. A probe without problems at first says nothing."""
    with _lock:
        before, _last[path] = _last.get(path, []), problems
    if problems == before:
        return
    if problems:
        logger.error("%s: %s", path, " ".join(problems))
    else:
        logger.warning("%s: all is well again.", path)


def _forget() -> None:
    """Forget what the probes have said, for tests."""
    _last.clear()


class NotEachProbe(logging.Filter):
    """Leaves out Django's line for a response of 503, because `note` has logged what it says."""

    def filter(self, record: logging.LogRecord) -> bool:
        # Django passes both with the lines of django.request.
        request = getattr(record, "request", None)
        status = getattr(record, "status_code", None)
        return status != 503 or getattr(request, "path_info", None) not in LOGGED
