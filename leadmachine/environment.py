"""The environment that the settings are read from, and the keys that a development machine generates for itself.

Generated keys are kept in `var/` and used only with `DEBUG` on: production reads its keys from the environment or does
not start. The commands of `manage.py` use them too where only `make run` was used.
"""

import contextlib
import json
import os
import secrets
import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import environ
from cryptography.fernet import Fernet

from postgresql import own_server

BASE_DIR = Path(__file__).resolve().parent.parent


def private_folder(folder: Path) -> Path:
    """Create the folder and close it to other users of the machine, unless this user may not. Returns it."""
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        folder.chmod(0o700)
    return folder


VAR_DIR = private_folder(BASE_DIR / "var")  # leads, keys, and what the sandbox received

env = environ.Env()
env.read_env(BASE_DIR / ".env")

SECRET_KEY_FILE = VAR_DIR / "secret_key"
# Any of them says that this is an installation, and not a folder for development alone.
OF_AN_INSTALLATION: Final = (
    "SECRET_KEY",
    "LEADMACHINE_TOKEN_KEYS",
    "ALLOWED_HOSTS",
    "DATABASE_URL",
    "REDIS_URL",
)


def _is_command_of_make_run() -> bool:
    """True for manage.py in a folder with a generated SECRET_KEY, if no setting of an installation is set.

    Not for a web server or a worker: an installation that has lost its settings must not start without them.
    """
    is_command = Path(sys.argv[0]).name == "manage.py"
    is_installation = any(env.str(name, default="") for name in OF_AN_INSTALLATION)
    return is_command and os.path.exists(SECRET_KEY_FILE) and not is_installation


# Set by `make run`, to make development the default. The environment and `.env` take precedence. If SECRET_KEY is set,
# this is an installation, and nothing is switched on that production must not have.
IS_MAKE_RUN: bool = env.bool("LEADMACHINE_MAKE_RUN", default=_is_command_of_make_run())
DEBUG: bool = env.bool(
    "DEBUG", default=IS_MAKE_RUN and not env.str("SECRET_KEY", default="")
)
PORT: int = env.int("PORT", default=8000)


def note_for_command(words: Sequence[str]) -> str:
    """Return what a command of manage.py says first in a folder of `make run`; "" elsewhere, or if it has said so."""
    if {"LEADMACHINE_MAKE_RUN", "DEBUG"} & os.environ.keys():
        return ""
    if IS_MAKE_RUN:
        return "Using the data and keys of make run (var/), with DEBUG on and the sandbox in place of LinkedIn."
    if env.str("SECRET_KEY", default="") or not os.path.exists(SECRET_KEY_FILE):
        return ""
    given = ", ".join(name for name in OF_AN_INSTALLATION if env.str(name, default=""))
    command = shlex.join(["LEADMACHINE_MAKE_RUN=1", sys.executable, *words])
    return f"The rules of production apply, because {given} is set. With the keys of make run: {command}"


def storage_entry(text: str) -> dict[str, Any]:
    """The JSON as an entry of STORAGES. If invalid, an entry that can't be loaded: a check then names the setting."""
    with contextlib.suppress(ValueError):
        entry = json.loads(text)
        if isinstance(entry, dict):
            return entry
    return {"BACKEND": ""}


def dev_secret_key() -> str:
    """The development `SECRET_KEY`, generated at the first start."""
    return _stored(SECRET_KEY_FILE, lambda: secrets.token_urlsafe(64))


def dev_token_keys() -> list[str]:
    """The development `LEADMACHINE_TOKEN_KEYS`, newest first; one is generated at the first start."""
    return _stored(
        VAR_DIR / "token_keys", lambda: Fernet.generate_key().decode()
    ).split(",")


def dev_database_url() -> str:
    """The PostgreSQL of this folder, which is started first. Ends this process with a sentence if it can't start."""
    folder = VAR_DIR / "postgresql"
    try:
        return own_server.use(folder)
    except own_server.CannotStart as error:
        sys.exit(str(error))


def _stored(path: Path, generate: Callable[[], str]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        fd, draft = tempfile.mkstemp(dir=path.parent)  # only its owner can read it
        with os.fdopen(fd, "w") as file:
            file.write(generate())
        # If two processes start at once, one link succeeds and both read the same key.
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        os.unlink(draft)
    return path.read_text().strip()
