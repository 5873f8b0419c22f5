"""S47: what the release's check for newer patches reports."""

import subprocess
from typing import Any

import pytest

from tests.security import newest

LOCK = "django==5.2.19 \\\n    --hash=sha256:0\ncelery[redis]==5.7.0 \\\n    --hash=sha256:0\n"


def row(name: str, version: str, latest: str) -> dict[str, Any]:
    return {"name": name, "version": version, "latest_version": latest}


def test_a_newer_patch_is_told_and_a_newer_line_is_not() -> None:
    outdated = [row("Django", "5.2.19", "5.2.20"), row("celery", "5.7.0", "5.8.0"), row("pip", "1.0.0", "1.0.1")]

    assert newest.behind_in(outdated, newest.pinned(LOCK)) == ["Django 5.2.19: 5.2.20 is out"]


@pytest.mark.parametrize(
    ("returncode", "stdout", "stderr", "code"),
    [
        (0, "[]", "", 0),
        (0, '[{"name": "Django", "version": "5.2.1", "latest_version": "5.2.2"}]', "", 1),
        (0, "[]", "WARNING: Retrying (Retry(total=0)) after connection broken", 2),
        (1, "", "ERROR: no index", 2),
    ],
)
def test_an_index_that_can_not_be_asked_is_never_a_pass(
    monkeypatch: pytest.MonkeyPatch, returncode: int, stdout: str, stderr: str, code: int
) -> None:
    answer = subprocess.CompletedProcess([], returncode, stdout, stderr)
    monkeypatch.setattr(newest.subprocess, "run", lambda *args, **options: answer)

    assert newest.main() == code
