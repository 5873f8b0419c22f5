"""`manage.py sandbox`."""

import os
import re
import signal
import subprocess
import sys
from functools import partial

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from capi.linkedin.sandbox.request_log import RequestLog
from tests.capi.linkedin.sandbox.calling import Caller, recent

ROOT = settings.BASE_DIR


def test_it_serves_until_it_is_interrupted(tmp_path):
    ledger = tmp_path / "ledger.jsonl"
    command = [
        sys.executable,
        str(ROOT / "manage.py"),
        "sandbox",
        "--port",
        "0",
        "--ledger",
        str(ledger),
    ]
    environment = os.environ | {"DEBUG": "1"}

    # Background jobs of a shell, and their children, ignore SIGINT; this process must not.
    hearing = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, preexec_fn=hearing
    ) as process:
        first_line = process.stdout.readline()
        with Caller(int(re.search(r":(\d+),", first_line)[1])) as caller:
            answer = caller.post(recent())
        table = []  # it is printed meanwhile
        while "revoked" not in "".join(table[-1:]):
            table.append(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        rest = "".join(table) + process.stdout.read()

    assert (answer, process.returncode) == ((201, b""), 0)
    assert first_line.endswith(f"writing to {ledger}\n")
    assert "  403403       403  Unknown rule, or a rule of another ad account\n" in rest
    assert "  revoked      401  The token was revoked\n" in rest
    assert rest.endswith("Sandbox stopped.\n")
    assert len(RequestLog(ledger).tail(10)) == 1


def test_production_does_not_run_it_unless_told_so(settings, tmp_path):
    settings.DEBUG = settings.LINKEDIN_SANDBOX = False

    with pytest.raises(CommandError, match="Set LINKEDIN_SANDBOX=on"):
        call_command("sandbox", ledger=tmp_path / "ledger.jsonl", port=0)

    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_told_with_the_way_out(settings, sandbox, tmp_path):
    settings.LINKEDIN_SANDBOX = True

    with pytest.raises(
        CommandError, match=f"Can't listen on 127.0.0.1:{sandbox.port} .*--port"
    ):
        call_command("sandbox", ledger=tmp_path / "second.jsonl", port=sandbox.port)
