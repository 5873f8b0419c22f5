"""What a worker's own log says, read as an operator reads it."""

import os
import socket
import subprocess
import sys

import pytest

from leadmachine import version

pytestmark = pytest.mark.processes


def test_a_worker_tells_its_version_and_its_name() -> None:
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "leadmachine",
        "worker",
        "--pool",
        "solo",
        "--loglevel",
        "INFO",
    ]
    node = f"celery@{socket.gethostname()}"
    worker = subprocess.Popen(
        [*command, "-Q", "for-nobody"],
        env={**os.environ, "LINKEDIN_SANDBOX": "1"}, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert worker.stderr is not None
    try:
        first = worker.stderr.readline()
        ready = next(line for line in worker.stderr if " ready." in line)
    finally:
        worker.terminate()
        worker.communicate(timeout=30)

    assert first.endswith(f"{version.in_full()}: the worker starts.\n")
    assert ready.endswith(f"{node} ready.\n")
