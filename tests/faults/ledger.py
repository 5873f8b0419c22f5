"""LinkedIn's end, as a process of its own that outlives whatever happens to ours."""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import requests
from django.conf import settings

from capi.linkedin.sandbox.request_log import Entry, RequestLog
from tests.faults.processes import PATH


class LinkedIn:
    """`manage.py sandbox` with an append-only ledger, and faults that are scripted from here."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger.jsonl"
        words = [
            sys.executable,
            "manage.py",
            "sandbox",
            "--port",
            "0",
            "--ledger",
            str(self.path),
        ]
        self._process = subprocess.Popen(
            words,
            cwd=settings.BASE_DIR,
            env={
                "PATH": PATH,
                "TMPDIR": tempfile.gettempdir(),
                "DEBUG": "on",
                "LEADMACHINE_MAKE_RUN": "0",
            },
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        first = self._process.stdout.readline()
        self.url = first.split()[3].rstrip(",")
        self.port = int(self.url.rpartition(":")[2])

    def script(self, *faults: dict[str, Any]) -> None:
        """Script what the next requests meet, in order. Without faults, forget what was scripted."""
        answer = requests.post(f"{self.url}/_control", json=list(faults), timeout=5)
        assert answer.status_code == 204, answer.text

    def entries(self) -> list[Entry]:
        """Every request since the last `clear`, oldest first."""
        return RequestLog(self.path).tail(1_000_000)[::-1]

    def clear(self) -> None:
        self.script()
        self.path.write_text("")

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
