"""What lives inside the web process on a small installation: the worker, and in development the sandbox.

Started by `leadmachine.wsgi` alone, never by a management command or a shell.
"""

import errno
import logging
import threading

from django.conf import settings

from capi.repeating import Repeating
from leadmachine import logs

logger = logging.getLogger(__name__)


def start() -> None:
    """Start what the settings ask for; returns at once."""
    if settings.LINKEDIN_SANDBOX:
        _start_sandbox()
    if settings.EMBEDDED_WORKER:
        threading.Thread(target=_run_worker, name="embedded-worker", daemon=True).start()


def _run_worker() -> None:
    from leadmachine.celery import app

    # The bare controller, not the command line's worker: signal handlers belong to the web server's main thread.
    worker = app.WorkController(pool="threads", concurrency=2, without_gossip=True, without_mingle=True)
    logs.keep_readable(worker.hostname)
    Housekeeping().start()
    worker.start()


class Housekeeping(Repeating):
    """Asks for what beat asks for on a larger installation: at the start, and every day."""

    name = "housekeeping"

    def seconds(self) -> float:
        return 24 * 3600.0

    def round(self, number: int) -> None:
        from leadmachine.celery import app

        for entry in settings.CELERY_BEAT_SCHEDULE.values():
            app.send_task(entry["task"], retry=False)


def _start_sandbox() -> None:
    from capi.sandbox.ledger import Ledger
    from capi.sandbox.server import SandboxServer

    server = SandboxServer("127.0.0.1", settings.LINKEDIN_SANDBOX_PORT, Ledger(settings.LINKEDIN_SANDBOX_LEDGER))
    try:
        server.start()
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        # Another web process of this machine has it already, and one is enough.
        logger.info("The sandbox's port %s is in use; taking it that a sandbox listens there.", server.port)
