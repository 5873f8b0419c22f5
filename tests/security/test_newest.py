"""S47: what `make lock` reports about newer releases and known vulnerabilities, and what it never takes for a pass."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.security import newest

LOCK = "django==5.2.19 \\\n    --hash=sha256:0\ncelery[redis]==5.7.0 \\\n    --hash=sha256:0\n"
CLEAN = [
    {"name": "django", "version": "5.2.19", "vulns": []},
    {"name": "celery", "version": "5.7.0", "vulns": []},
]
SKIPPED = [
    {"name": "django", "skip_reason": "not found"},
    {"name": "celery", "skip_reason": "not found"},
]
KNOWN = [
    CLEAN[0],
    {
        "name": "celery",
        "version": "5.7.0",
        "vulns": [{"id": "CVE-2026-1", "fix_versions": ["5.7.1"]}],
    },
]

Answer = tuple[int, str]


def audited(dependencies: list[dict[str, Any]], code: int = 0) -> Answer:
    return code, json.dumps({"dependencies": dependencies, "fixes": []})


CLEAN_AUDIT = audited(CLEAN)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., int]:
    """Returns `newest.main` for these answers of uv and pip-audit: an exit code and what they print."""
    lock = tmp_path / "requirements-dev.lock"
    lock.write_text(LOCK)
    monkeypatch.setattr(newest, "LOCK", lock)

    def main(
        allowed: Answer = (0, LOCK),
        newest_of_all: Answer = (0, LOCK),
        audit: Answer = CLEAN_AUDIT,
    ) -> int:
        def run(
            command: tuple[str, ...], **options: Any
        ) -> subprocess.CompletedProcess[str]:
            answer = allowed
            if "tool" in command:
                answer = audit
            elif "--no-deps" in command:
                answer = newest_of_all
            return subprocess.CompletedProcess(command, answer[0], answer[1], "")

        monkeypatch.setattr(newest.subprocess, "run", run)
        return newest.main()

    return main


def test_newest_and_clean_is_a_pass(
    answers: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert answers() == 0

    printed = capsys.readouterr().out
    assert "Each package is the newest release that its requirements allow." in printed
    assert "No known vulnerability." in printed


@pytest.mark.parametrize("version", ["5.2.20", "5.3.0", "6.0"])
def test_any_newer_release_that_may_be_locked_is_behind(
    answers: Callable[..., int], capsys: pytest.CaptureFixture[str], version: str
) -> None:
    assert answers(allowed=(0, LOCK.replace("5.2.19", version))) == newest.BEHIND

    assert (
        f"Behind: django, 5.2.19 is locked, {version} is out."
        in capsys.readouterr().out
    )


def test_a_release_that_a_requirement_holds_back_is_named(
    answers: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert answers(newest_of_all=(0, LOCK.replace("5.7.0", "5.8.0"))) == 0

    assert (
        "Held back by a requirement: celery, 5.7.0 is locked, 5.8.0 is out."
        in capsys.readouterr().out
    )


def test_a_known_vulnerability_is_no_pass(
    answers: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert answers(audit=audited(KNOWN, code=1)) == newest.BEHIND

    assert "Vulnerable: celery, CVE-2026-1." in capsys.readouterr().out


@pytest.mark.parametrize(
    "unanswered",
    [
        {"allowed": (2, "")},
        {"newest_of_all": (2, "")},
        {"audit": (1, "")},
        {"audit": (1, "Traceback")},
        {"audit": audited([])},
        # Which pip-audit calls "No known vulnerabilities found".
        {"audit": audited(SKIPPED)},
        {"audit": audited([CLEAN[0], SKIPPED[1]])},
    ],
)
def test_what_can_not_be_asked_is_never_a_pass(
    answers: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    unanswered: dict[str, Answer],
) -> None:
    assert answers(**unanswered) == newest.UNKNOWN

    printed = capsys.readouterr().out
    assert "NOT CHECKED" in printed
    assert ("No known vulnerability." in printed) == ("audit" not in unanswered)


def test_without_uv_nothing_was_checked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(newest, "COMPILE", ("no-such-program",))

    assert newest.main() == newest.UNKNOWN

    assert "nothing was checked" in capsys.readouterr().out
