"""How long each kind of process waits for its database. Management commands, such as migrate, have no bound."""

from typing import Any

from django.conf import settings
from django.core.signals import request_started

from postgresql import bounds


def of_worker() -> None:
    """For all threads of a worker: tasks and timers."""
    bounds.bound_process(settings.WORKER_STATEMENT_SECONDS, idle_seconds=settings.LEASE_SECONDS)


def of_web_server() -> None:
    """A person waits for each request. Whatever else runs in the process is an embedded worker."""
    of_worker()
    request_started.connect(_bound_request, dispatch_uid="leadmachine.patience")


def _bound_request(**kwargs: Any) -> None:
    bounds.bound_thread(settings.WEB_STATEMENT_SECONDS)
