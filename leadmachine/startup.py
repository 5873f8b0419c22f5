"""What keeps a process from starting, and how long each kind of process waits for its database."""

import logging
import sys
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.signals import request_started

from postgresql import bounds

# --- What keeps a process from starting: the errors among the system checks, a line each. And what it warns of.

logger = logging.getLogger(__name__)


def refusals() -> list[str]:
    """One line per error: its id, what is wrong, and what to do. Warnings refuse nothing."""
    asked = [*checks.run_checks(), *checks.run_checks(tags=[checks.Tags.database], databases=["default"])]
    return [_line(message) for message in asked if message.is_serious()]


def refuse_wrong_settings() -> None:
    """End this process, with a line for each error, unless the settings are right."""
    if wrong := refusals():
        sys.exit("\n".join(["LeadMachine does not start with these settings:", *wrong]))


def log_warnings() -> None:
    """Log a line for each warning. For processes that, unlike gunicorn, don't run Django's own check command."""
    for message in checks.run_checks():
        if not message.is_serious():
            logger.warning("%s", _line(message))


def _line(message: checks.CheckMessage) -> str:
    return f"{message.id}: {message.msg} {message.hint or ''}".strip()


# --- How long each kind of process waits for its database. Management commands, such as migrate, have no bound.


def bound_worker() -> None:
    """For all threads of a worker: tasks and timers."""
    bounds.bound_process(settings.WORKER_STATEMENT_SECONDS, idle_seconds=settings.LEASE_SECONDS)


def bound_web_server() -> None:
    """A person waits for each request. Whatever else runs in the process is an embedded worker."""
    bound_worker()
    request_started.connect(_bound_request, dispatch_uid="leadmachine.startup")


def _bound_request(**kwargs: Any) -> None:
    bounds.bound_thread(settings.WEB_STATEMENT_SECONDS)
