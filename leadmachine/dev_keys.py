"""Keys that a development machine makes for itself and keeps in `var/`, so that nobody has to invent any.

Used only with `DEBUG` on; production takes its keys from the environment or does not start.
"""

import contextlib
import os
import secrets
import tempfile
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet


def secret_key(var_dir: Path) -> str:
    """The development `SECRET_KEY`, made at the first start."""
    return _kept(var_dir / "secret_key", lambda: secrets.token_urlsafe(64))


def token_keys(var_dir: Path) -> list[str]:
    """The development `LEADMACHINE_TOKEN_KEYS`, newest first; one is made at the first start."""
    return _kept(var_dir / "token_keys", lambda: Fernet.generate_key().decode()).split(",")


def _kept(path: Path, make: Callable[[], str]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        fd, draft = tempfile.mkstemp(dir=path.parent)  # readable by its owner alone
        with os.fdopen(fd, "w") as file:
            file.write(make())
        # Of two processes that start at once, one link succeeds and both read the same key.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        os.unlink(draft)
    return path.read_text().strip()
