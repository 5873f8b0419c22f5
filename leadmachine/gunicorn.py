"""The gunicorn configuration, for development and production.

One process with threads. `WEB_CONCURRENCY` (gunicorn's own variable) sets the number of processes. `GUNICORN_CMD_ARGS`
and the command line, such as `--bind`, override this file.
"""

import io
import math
import os
import resource
import signal
import socket
import sys
from typing import Any

from django.conf import settings

from leadmachine.environment import DEBUG, PORT, VAR_DIR

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadmachine.settings")

bind = f"127.0.0.1:{PORT}"
# Waitress, with deadlines for slow clients.
worker_class = "leadmachine.web_worker.WebWorker"
threads = 8
# In each process; a slow one holds file descriptors, but no thread.
worker_connections = 4_000
# A stopping process may still wait for a request to LinkedIn, from an erasure or from the embedded worker.
graceful_timeout = math.ceil(settings.SEND_TIMEOUT_SECONDS) + 15
# How long a process may send no heartbeat before the master kills it. A stopping process sends none after its last
# response, while its embedded worker has 55 seconds for the current request: gunicorn's default of 30 cut that off.
timeout = 2 * graceful_timeout
# Restart processes now and then, so that a slow leak never becomes an incident. This would cut off an embedded worker.
max_requests = 0 if settings.EMBEDDED_WORKER else 20_000
max_requests_jitter = 2_000
loglevel = "warning"
control_socket_disable = True  # all installations on a machine would share one file

FILES_BESIDES = 500  # connections to services, and the other files of a process


def on_starting(server: Any) -> None:
    """Refuse to start with wrong settings or on a port in use, with a message that says how to fix it."""
    _check_settings()
    _raise_file_limit()
    for address in server.cfg.address:
        _check_exposure(address)
    if "GUNICORN_FD" not in os.environ:  # a restarted master inherits the open socket
        for address in server.cfg.address:
            _check_free(address)
    _check_sandbox()
    _log_connections(server.cfg)
    _share_metrics()


def pre_fork(server: Any, worker: Any) -> None:
    """Give the new process the lowest number that no other has."""
    from leadmachine.metrics import processes

    worker.slot = processes.free_slot(each.slot for each in server.WORKERS.values())


def post_fork(server: Any, worker: Any) -> None:
    """Let the process count its requests in the file of its number."""
    from leadmachine.metrics import processes

    processes.use_slot(worker.slot)


def when_ready(server: Any) -> None:
    """Print the address, now that a browser can open it."""
    for host, port in (
        address for address in server.cfg.address if isinstance(address, tuple)
    ):
        print(  # noqa: T201
            f"\nLeadMachine is ready: http://{host}:{port}/   (Ctrl-C stops it)\n",
            flush=True,
        )


def post_worker_init(worker: Any) -> None:
    """Make Ctrl-C stop the worker as SIGTERM does: after its current requests, both incoming and outgoing.

    Ctrl-C reaches the worker twice, from the terminal and from the master, which sends SIGQUIT. gunicorn's own handlers
    of both end it at once.
    """
    from leadmachine import embedded

    def end(sig: int, frame: Any) -> None:
        embedded.request_stop()
        worker.handle_exit(sig, frame)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGQUIT, end)
    signal.signal(signal.SIGTERM, end)


def worker_exit(server: Any, worker: Any) -> None:
    """After the last response, give the embedded worker, if there is one, time to save the result of its request."""
    from leadmachine import embedded

    embedded.wait_until_stopped()


def _check_settings() -> None:
    import django
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import call_command
    from django.core.management.base import SystemCheckError

    django.setup()
    from leadmachine import startup

    startup.log_version("web server")
    try:
        call_command("check", stdout=io.StringIO())
    except (SystemCheckError, ImproperlyConfigured) as error:
        sys.exit(f"{error}\n.env.example describes each setting.")


def _log_connections(cfg: Any) -> None:
    from leadmachine import database_connections

    needed = cfg.workers * database_connections.of_web(threads=cfg.threads)
    database_connections.log("The web server", needed)


def _share_metrics() -> None:
    from leadmachine.metrics import access, processes

    if access.are_open():
        processes.share(VAR_DIR / "metrics")


def _raise_file_limit() -> None:
    """Allow two descriptors for each connection, because its request or response may be a file.

    systemd's default is 1,024, which a process may raise to half a million.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * worker_connections + FILES_BESIDES
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(needed, hard)), hard))


def _check_sandbox() -> None:
    from capi.delivery import own_sandbox

    if refusal := own_sandbox.refusal():
        sys.exit(refusal)


def _check_exposure(address: Any) -> None:
    """With DEBUG, listen on this machine only."""
    from leadmachine.checks import is_loopback

    if DEBUG and isinstance(address, tuple) and not is_loopback(address[0]):
        sys.exit(
            f"leadmachine.E025: DEBUG is on, and the web server would listen on {address[0] or 'all addresses'}: error "
            "pages show code and settings, and the demo's passwords are public. Set DEBUG=off and the settings of "
            "production (docs/production.md), or listen on this machine only: --bind 127.0.0.1:8000"
        )


def _check_free(address: Any) -> None:
    if not isinstance(address, tuple):
        sys.exit(
            f"LeadMachine listens on an address and a port, not on {address}. Set --bind, such as 127.0.0.1:8000."
        )
    with socket.socket(
        socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    ) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            sys.exit(
                f"LeadMachine can't listen on {address[0]}:{address[1]} ({error.strerror}). "
                "Stop the program that uses this port, or choose another: PORT=8123 make run"
            )
