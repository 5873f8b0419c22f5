"""A migrated database, made once and copied wherever one is needed: migrating from scratch takes 7 s of CPU or more.

It is kept in var/, and made again once a migration, a model or a locked version has changed. `migrate` still runs on
each copy, and finds nothing to do. `python -m tests.migrated` migrates the database of DATABASE_URL.
"""

import fcntl
import gc
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg

from postgresql.own_server import OwnServer

ROOT: Final = Path(__file__).resolve().parent.parent
KEPT: Final = ROOT / "var" / "migrated"
NAME: Final = "migrated"  # of the database in a PostgreSQL
DECIDE: Final = (
    "requirements-dev.lock", "*/migrations/*.py", "*/models/**/*.py", "postgresql/**/*.py", "leadmachine/settings*.py",
)  # fmt: skip


@contextmanager
def postgres() -> Iterator[Path]:
    """The data folder of a PostgreSQL with such a database. Copy it with `cp -a`: it may belong to another user.

    The first of several processes makes it, and the others wait.
    """
    KEPT.mkdir(parents=True, exist_ok=True)
    kept = KEPT / _key()
    with (KEPT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            for old in KEPT.iterdir():
                if old.is_dir():
                    shutil.rmtree(old)
            _make(KEPT / "half")
            (KEPT / "half").rename(kept)
        yield kept / "data"


def _make(at: Path) -> None:
    server = OwnServer(at)
    server.start("-c fsync=off")
    try:
        with psycopg.connect(server.url, autocommit=True) as connection:
            # Tests lose nothing that matters in a power cut.
            for name in ("fsync", "synchronous_commit"):
                connection.execute(f"ALTER SYSTEM SET {name} = off")
            connection.execute(f"CREATE DATABASE {NAME}")
        _migrate(server.url.replace("/postgres?", f"/{NAME}?"))
    finally:
        server.stop()


def _migrate(url: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "tests.migrated"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": url},
        check=True,
    )


def _key() -> str:
    """A key that changes with everything that a migrated database depends on."""
    paths = sorted({path for pattern in DECIDE for path in ROOT.glob(pattern)})
    texts = (
        f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes() for path in paths
    )
    return hashlib.sha256(b"\0".join([sys.version.encode(), *texts])).hexdigest()[:16]


def main() -> None:
    import django
    from django.core.management import call_command
    from django.db import connections

    os.environ["DJANGO_SETTINGS_MODULE"] = "leadmachine.settings"
    django.setup()
    gc.freeze()  # a third less CPU: all of Django stays
    call_command("migrate", verbosity=0, skip_checks=True)
    connections.close_all()


if __name__ == "__main__":
    main()
