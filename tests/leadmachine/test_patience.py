"""How long each kind of process waits for its database."""

import os
import subprocess
import sys

from django.conf import settings

WEB, WORKER = settings.WEB_STATEMENT_SECONDS, settings.WORKER_STATEMENT_SECONDS
TELL = "from postgresql import bounds; print(bounds.seconds())"


def test_a_request_waits_for_8_seconds_and_what_works_beside_it_in_the_web_process_as_a_worker() -> (
    None
):
    program = f"""
import threading
from leadmachine import wsgi
from django.core.signals import request_started
request_started.send(sender=None)
{TELL}
beside = threading.Thread(target=lambda: exec("{TELL}"))
beside.start()
beside.join()
"""
    assert told(program) == [str(WEB), str(WORKER)]
    assert (WEB, WORKER) == (8, 60)


def test_a_worker_waits_for_half_a_lease() -> None:
    program = f"""
from celery import signals
import leadmachine.celery, django
django.setup()
signals.celeryd_init.send(sender="worker1")
{TELL}
"""
    assert told(program) == [str(WORKER)]
    assert WORKER == settings.LEASE_SECONDS / 2


def test_a_result_can_be_written_within_the_lease_after_the_longest_request_and_one_write_without_an_answer() -> (
    None
):
    assert settings.SEND_TIMEOUT_SECONDS + WORKER < settings.LEASE_SECONDS


def test_a_management_command_waits_for_as_long_as_it_takes() -> None:
    assert told(f"import django; django.setup(); {TELL}") == ["None"]


def told(program: str) -> list[str]:
    """What a fresh process prints."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "leadmachine.settings",
        "LINKEDIN_SANDBOX": "off",
    }
    run = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.split()
