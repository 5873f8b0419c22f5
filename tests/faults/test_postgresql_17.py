"""PostgreSQL 17, as Debian 13 has it: the core of the suite passes on it, without UPDATE … RETURNING OLD."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

from postgresql import own_server
from postgresql.own_server import OwnServer

PROGRAMS = Path(os.environ.get("POSTGRESQL_17") or "/usr/lib/postgresql/17/bin")
CORE = (
    "tests/postgresql",
    "tests/crm/models",
    "tests/crm/search",
    "tests/capi/delivery",
)

pytestmark = [
    pytest.mark.faults,
    pytest.mark.thorough,
    pytest.mark.skipif(
        not PROGRAMS.exists(),
        reason=f"PostgreSQL 17 is not in {PROGRAMS} (or name it: POSTGRESQL_17)",
    ),
]


@pytest.mark.timeout(1800)
def test_the_core_of_the_suite_passes_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_server, "program", lambda name: str(PROGRAMS / name))
    monkeypatch.setattr(own_server, "version", lambda package: "17")
    server = OwnServer(tmp_path / "postgresql")
    server.start("-c fsync=off")
    try:
        words = (
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-m",
            "not faults and not processes",
            *CORE,
        )
        done = subprocess.run(
            [sys.executable, *words],
            cwd=settings.BASE_DIR, env={**os.environ, "DATABASE_URL": server.url, "SMALL_SIZE": "1"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    finally:
        server.stop()

    assert done.returncode == 0, done.stdout[-10_000:]
