"""The web processes of a machine count in files of one folder, each in its own, and any of them can add them up.

A file is named after gunicorn's master and a slot, the lowest number that no other process has. So a process that
gunicorn starts in place of another goes on in the file of that one: with one file for each process id, each restart
after `max_requests` would leave one behind, and a scrape reads them all.
"""

import logging
import os
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Final

from prometheus_client import values

logger = logging.getLogger(__name__)

FOLDER: Final = (
    "PROMETHEUS_MULTIPROC_DIR"  # in the environment, where prometheus-client reads it
)

_identity = f"{os.getpid()}-0"


def share(folder: Path) -> None:
    """Let this process and those that it forks count in files of the folder. Removes those of masters that are gone.

    Call it before anything is counted. If the folder can't be written, each process counts for itself.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("*.db"):
            if _is_stale(path):
                path.unlink(missing_ok=True)
        probe = folder / f"probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        logger.warning(
            "%s can't be written (%s): /metrics has the requests of one web process.",
            folder,
            error,
        )
        return
    os.environ[FOLDER] = str(folder)
    values.ValueClass = values.MultiProcessValue(identity)  # type: ignore[no-untyped-call]


def free_slot(taken: Iterable[int]) -> int:
    """Return the lowest number that is not among these."""
    used = set(taken)
    return next(number for number in count(1) if number not in used)


def use_slot(slot: int) -> None:
    """Count in the file of this slot from now on. Called in a process that gunicorn has just forked."""
    global _identity
    _identity = f"{os.getppid()}-{slot}"


def identity() -> str:
    return _identity


def folder() -> str | None:
    """Return the folder, None if this process counts for itself."""
    return os.environ.get(FOLDER)


def _is_stale(path: Path) -> bool:
    """True for a file of this process's own id, which another had before it, or of a master that no longer runs."""
    master = path.stem.rpartition("_")[2].partition("-")[0]
    return master == str(os.getpid()) or not Path(f"/proc/{master}").exists()
