"""What lives inside the web process on a small installation: the worker, and in development the sandbox.

Started by `leadmachine.wsgi` alone, never by a management command or a shell.
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

TAKE_OVER_SECONDS: Final = 1.0  # after which one of several web processes is the sandbox in place of one that is gone


def start() -> None:
    """Start what the settings ask for; returns at once."""
    if settings.LINKEDIN_SANDBOX:
        _start_sandbox()
    if settings.EMBEDDED_WORKER:
        _worker_thread.start()


def begin_to_end() -> None:
    """Have the worker finish what it has in flight, and end. Returns at once, so that a signal handler may call it."""
    if _worker_thread.is_alive():
        from celery.worker import state

        shutdown.begin()
        state.should_stop = 0


def wait_for_the_end() -> None:
    """Returns once the worker has ended, or has had the time for it. At once where there is none."""
    begin_to_end()
    if _worker_thread.is_alive():
        _worker_thread.join(shutdown.seconds())


def _run_worker() -> None:
    from leadmachine.celery import app

    try:
        # The bare controller, not the command line's worker: signal handlers belong to the web server's main thread.
        worker = app.WorkController(pool="threads", concurrency=2)
        keep_readable(worker.hostname)
        worker.start()
    except Exception:
        logger.exception("The worker inside this web process has failed; both end.")
    finally:
        # However it came to its end: a web process without its worker would deliver nothing. Gunicorn starts another.
        os.kill(os.getpid(), signal.SIGTERM)


_worker_thread = threading.Thread(target=_run_worker, name="embedded-worker", daemon=True)


def _start_sandbox() -> SandboxServer:
    if refusal := own_sandbox.refusal():
        sys.exit(refusal)
    server = own_sandbox.make()
    if not own_sandbox.start(server):
        threading.Thread(target=_take_over, args=(server,), name="sandbox-takeover", daemon=True).start()
    return server


def _take_over(server: SandboxServer) -> None:
    """Wait until the process that has the sandbox's port is gone, and be the sandbox then."""
    while not own_sandbox.start(server):
        time.sleep(TAKE_OVER_SECONDS)
    logger.info("The process that was the sandbox is gone; this one is it now, on port %s.", server.port)
