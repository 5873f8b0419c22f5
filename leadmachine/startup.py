"""The first lines of a process, start-up checks, and the statement timeout of each kind of process."""

import logging
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.signals import request_started
from django.db import Error, connections

from leadmachine import installation, version
from postgresql import bounds

logger = logging.getLogger(__name__)


def log_version(process: str) -> None:
    """Log which version this is, as the first line of a process."""
    logger.info("%s: the %s starts.", version.in_full(), process)


def refusals() -> list[str]:
    """Return a line for each error of the system checks: its id, the problem and the fix. Leaves out warnings."""
    messages = [
        *checks.run_checks(),
        *checks.run_checks(tags=[checks.Tags.database], databases=["default"]),
    ]
    return [_line(message) for message in messages if message.is_serious()]


def refuse_wrong_settings() -> None:
    """Exit this process with a line for each error if the settings are wrong. Leaves no connection open.

    Log a line for each warning about the database.
    """
    errors = refusals()
    _log_warnings(checks.run_checks(tags=[checks.Tags.database], databases=["default"]))
    # The thread that starts a process doesn't use its connection any more.
    connections.close_all()
    if errors:
        sys.exit(
            "\n".join(["LeadMachine does not start with these settings:", *errors])
        )
    _read_name()


def _read_name() -> None:
    """Read the installation's name before there are threads: each would read it on a connection of its own."""
    # The database is down: the first thread that needs it tries again.
    with suppress(Error):
        installation.name()


def log_warnings() -> None:
    """Log a line for each warning about settings. For processes that, unlike gunicorn, don't run Django's checks."""
    _log_warnings(checks.run_checks())


def _log_warnings(messages: Iterable[checks.CheckMessage]) -> None:
    for message in messages:
        if not message.is_serious():
            logger.warning("%s", _line(message))


def _line(message: checks.CheckMessage) -> str:
    return f"{message.id}: {message.msg} {message.hint or ''}".strip()


# Statement timeouts. Management commands, such as migrate, have none.


def bound_worker() -> None:
    """Limit the statements of all threads of a worker, both tasks and timers."""
    bounds.bound_process(
        settings.WORKER_STATEMENT_SECONDS, idle_seconds=settings.LEASE_SECONDS
    )


def bound_web_server() -> None:
    """Give requests a shorter limit, because people wait for them. All other threads belong to an embedded worker."""
    bound_worker()
    request_started.connect(_bound_request, dispatch_uid="leadmachine.startup")


def _bound_request(**kwargs: Any) -> None:
    bounds.bound_thread(settings.WEB_STATEMENT_SECONDS)
