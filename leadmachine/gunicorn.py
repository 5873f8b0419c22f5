"""How gunicorn serves LeadMachine, on a laptop and in production alike.

One process with threads; `WEB_CONCURRENCY` (gunicorn's own variable) asks for more. `GUNICORN_CMD_ARGS` or the command
line overrule what stands here, such as `--bind`.
"""

import io
import math
import os
import signal
import socket
import sys
from typing import Any

from leadmachine import settings

bind = f"127.0.0.1:{settings.PORT}"
worker_class = "gthread"
threads = 8
# What is in flight may wait for a request to LinkedIn: an erasure does, and the embedded worker makes some.
graceful_timeout = math.ceil(settings.SEND_TIMEOUT_SECONDS) + 15
# How long a process may be silent before the master ends it at once. One that is to end says nothing more after its
# last answer, while its embedded worker has 55 seconds for the request in flight: gunicorn's own 30 cut that off.
timeout = 2 * graceful_timeout
# Recycled now and then, so that a slow leak never becomes an incident. An embedded worker would be cut off by it.
max_requests = 0 if settings.EMBEDDED_WORKER else 20_000
max_requests_jitter = 2_000
loglevel = "warning"
control_socket_disable = True  # it would be one file for all installations of a machine


def on_starting(server: Any) -> None:
    """Refuse to start with wrong settings or on a port that is taken, each with a sentence that says what to do."""
    _check_settings()
    if "GUNICORN_FD" not in os.environ:  # a re-started master takes the open socket over
        for address in server.cfg.address:
            _check_free(address)
    _check_sandbox()


def when_ready(server: Any) -> None:
    """Say where it is, now that a browser can go there."""
    for host, port in (address for address in server.cfg.address if isinstance(address, tuple)):
        print(f"\nLeadMachine is ready: http://{host}:{port}/   (Ctrl-C ends it)\n", flush=True)  # noqa: T201


def post_worker_init(worker: Any) -> None:
    """Let Ctrl-C end the worker as SIGTERM does: after the requests that it is answering and the one that it sends.

    Ctrl-C reaches the worker twice, from the terminal and from the master, and gunicorn's own handler (27.0) waits for
    a lock of its own when it is called while it runs.
    """
    from leadmachine import embedded

    def end(sig: int, frame: Any) -> None:
        embedded.begin_to_end()
        worker.handle_exit(sig, frame)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGQUIT, end)
    signal.signal(signal.SIGTERM, end)


def worker_exit(server: Any, worker: Any) -> None:
    """The last request is answered: let the embedded worker, where there is one, write down what it has in flight."""
    from leadmachine import embedded

    embedded.wait_for_the_end()


def _check_settings() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadmachine.settings")
    import django
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import call_command
    from django.core.management.base import SystemCheckError

    django.setup()
    try:
        call_command("check", stdout=io.StringIO())
    except (SystemCheckError, ImproperlyConfigured) as error:
        sys.exit(f"{error}\n.env.example explains each setting.")


def _check_sandbox() -> None:
    from capi.delivery import own_sandbox

    if refusal := own_sandbox.refusal():
        sys.exit(refusal)


def _check_free(address: Any) -> None:
    if not isinstance(address, tuple):
        return
    with socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            sys.exit(
                f"LeadMachine can't listen on {address[0]}:{address[1]} ({error.strerror}). "
                "Stop what listens there, or choose another port: PORT=8123 make run"
            )
