"""The watchdog of a worker: where one of its threads stands still, the process ends, so that another is started.

It is a thread of its own that touches neither database nor broker. What waits for them without an end can't hold it up.
"""

import atexit
import contextlib
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Final

from django.conf import settings

from capi.delivery import beats

logger = logging.getLogger(__name__)

EVERY_SECONDS: Final = 1.0
SAYING_SECONDS: Final = 1.0  # standard error may be what stands still
EXIT_CODE: Final = 70  # EX_SOFTWARE. Not 3 or 4, after which gunicorn's master ends as well
FRAMES: Final = 25


class Watchdog:
    """Looks once a second whether all that is watched has beaten within the settings' STANDSTILL_SECONDS.

    While it has, the file `alive`, if there is one, is touched. Once it has not, the process says so and ends: as
    SIGTERM has it end, where it may take `grace_seconds` for that, and then by force, together with its `children`.
    """

    def __init__(
        self, *, alive: Path | None = None, grace_seconds: float = 0.0, children: Callable[[], Iterable[int]] = tuple
    ) -> None:
        self.found = False  # that something stands still
        self._alive, self._grace_seconds, self._children = alive, grace_seconds, children
        self._looked_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def look(self) -> None:
        """Set `found`, and say what it is, if something stands still."""
        now = time.monotonic()
        late, self._looked_at = now - self._looked_at - EVERY_SECONDS, now
        if late > EVERY_SECONDS:
            beats.excuse(late)
        stillest = beats.stillest()
        if stillest and stillest[1] > settings.STANDSTILL_SECONDS:
            self.found = True
            self._say(*stillest)
        else:
            self._touch()

    def _run(self) -> None:
        while not self.found:
            time.sleep(EVERY_SECONDS)
            self.look()
        if self._grace_seconds:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(self._grace_seconds)
        try:
            for pid in self._children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        finally:
            os._exit(EXIT_CODE)

    def _say(self, watched: beats.Watched, seconds: float) -> None:
        """Where it can be said: a process that can start no thread (its limit, its memory) is to end all the same."""
        told = (
            "The %s has stood still for %.0f seconds; this process ends, so that another is started. It stands in %s."
        )
        with contextlib.suppress(Exception):
            words = (told, watched.name, seconds, stack_of(watched.thread))
            saying = threading.Thread(target=logger.critical, args=words, daemon=True)
            saying.start()
            saying.join(SAYING_SECONDS)

    def _touch(self) -> None:
        if self._alive is None:
            return
        try:
            self._alive.touch()
        except OSError as error:
            logger.warning("%s can't be written (%s): no health check will find this worker.", self._alive, error)
            self._alive = None


def stack_of(thread: threading.Thread) -> str:
    """Where the thread is, innermost first, in one line of files, lines and functions: no value stands in it."""
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is None:
        return "nothing: the thread is dead"
    places = islice(traceback.walk_stack(frame), FRAMES)
    return " < ".join(f"{_short(found.f_code.co_filename)}:{line} {found.f_code.co_name}" for found, line in places)


def alive_file() -> Path:
    """The file by which a health check finds this process, in a folder without those of processes that are gone.

    It goes with this process, where that ends by itself.
    """
    folder = Path(settings.ALIVE_DIR)
    with contextlib.suppress(OSError):  # told where the file is touched
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("worker-*"):
            if not Path(f"/proc/{path.name.removeprefix('worker-')}").exists():
                path.unlink(missing_ok=True)
    alive = folder / f"worker-{os.getpid()}"
    atexit.register(_take_away, alive)
    return alive


def _take_away(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def _short(path: str) -> str:
    return "/".join(Path(path).parts[-2:])
