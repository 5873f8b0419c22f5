"""The worker, and in development the sandbox, inside the web process of a small installation.

Only `leadmachine.wsgi` starts them, never a management command or a shell.
"""

import logging
import os
import signal
import sys
import threading
import time
from typing import Final

from django.conf import settings

from capi.delivery import own_sandbox, shutdown
from capi.linkedin.sandbox.server import SandboxServer
from leadmachine.log_format import keep_readable

logger = logging.getLogger(__name__)

# How often a web process checks whether the one with the sandbox is gone.
TAKE_OVER_SECONDS: Final = 1.0


def start() -> None:
    """Start what the settings switch on. Does not block."""
    if settings.LINKEDIN_SANDBOX:
        _start_sandbox()
    if settings.EMBEDDED_WORKER:
        _worker_thread.start()


def request_stop() -> None:
    """Ask the worker to finish its current work and stop. Does not block, so a signal handler may call it."""
    if _worker_thread.is_alive():
        from celery.worker import state

        shutdown.begin()
        state.should_stop = 0


def wait_until_stopped() -> None:
    """Wait until the worker, if there is one, has stopped or its time is up."""
    request_stop()
    if _worker_thread.is_alive():
        _worker_thread.join(shutdown.seconds())


def _run_worker() -> None:
    from leadmachine.celery import app

    try:
        # The worker of the command line would install signal handlers, which here belong to the web server.
        worker = app.WorkController(pool="threads", concurrency=2)
        keep_readable(worker.hostname)
        worker.start()
    except Exception:
        logger.exception(
            "The worker inside this web process failed; the process is stopping."
        )
    finally:
        # Whatever the reason: a web process without its worker would deliver nothing. Gunicorn starts a new one.
        os.kill(os.getpid(), signal.SIGTERM)


_worker_thread = threading.Thread(
    target=_run_worker, name="embedded-worker", daemon=True
)


def _start_sandbox() -> SandboxServer:
    if refusal := own_sandbox.refusal():
        sys.exit(refusal)
    server = own_sandbox.make()
    if not own_sandbox.start(server):
        threading.Thread(
            target=_take_over, args=(server,), name="sandbox-takeover", daemon=True
        ).start()
    return server


def _take_over(server: SandboxServer) -> None:
    """Wait until the process with the sandbox's port is gone, then start the sandbox here."""
    while not own_sandbox.start(server):
        time.sleep(TAKE_OVER_SECONDS)
    logger.info(
        "The process with the sandbox is gone; this process took over, on port %s.",
        server.port,
    )
