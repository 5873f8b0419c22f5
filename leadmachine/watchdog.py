"""The watchdog of a worker: if one of its threads is stuck, the process exits so that a new one is started.

It runs in a separate thread that uses neither database nor broker, so an endless wait for them can't block it.
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
LOGGING_SECONDS: Final = 1.0  # standard error itself may be blocked
# EX_SOFTWARE. Not 3 or 4, after which gunicorn's master exits too.
EXIT_CODE: Final = 70
FRAMES: Final = 25


class Watchdog:
    """Checks once a second that every watched thread has sent a beat within the setting STANDSTILL_SECONDS.

    As long as all have, it touches the file `alive`, if one is given. If a thread has not, it logs that and ends the
    process: first by SIGTERM, if there are `termination_seconds` for it, then by force, together with its `children`.
    """

    def __init__(
        self,
        *,
        alive: Path | None = None,
        termination_seconds: float = 0.0,
        children: Callable[[], Iterable[int]] = tuple,
    ) -> None:
        self.is_triggered = False  # True once a thread is stuck
        self._alive, self._termination_seconds, self._children = (
            alive,
            termination_seconds,
            children,
        )
        self._touching = threading.Lock()
        self._checked_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Check until the process exits normally, which removes the file `alive`."""
        self._thread.start()
        atexit.register(self.remove_alive)

    def remove_alive(self) -> None:
        """Remove the file for good. The thread runs on while the process exits, and would write it again."""
        with self._touching:
            if self._alive is not None:
                with contextlib.suppress(OSError):
                    self._alive.unlink()
            self._alive = None

    def check(self) -> None:
        """Set `is_triggered`, and log the stack, if a thread is stuck."""
        now = time.monotonic()
        late, self._checked_at = now - self._checked_at - EVERY_SECONDS, now
        if late > EVERY_SECONDS:
            beats.excuse(late)
        stillest = beats.stillest()
        if stillest and stillest[1] > settings.STANDSTILL_SECONDS:
            self.is_triggered = True
            self._log(*stillest)
        else:
            with self._touching:
                self._touch()

    def _run(self) -> None:
        while not self.is_triggered:
            time.sleep(EVERY_SECONDS)
            self.check()
        if self._termination_seconds:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(self._termination_seconds)
        try:
            for pid in self._children():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        finally:
            os._exit(EXIT_CODE)

    def _log(self, watched: beats.Watched, seconds: float) -> None:
        """Log in a separate thread, if possible. A process that can't start one (limits, memory) must exit anyway."""
        message = "The %s has been stuck for %.0f seconds; this process exits so that a new one is started. Stack: %s"
        with contextlib.suppress(Exception):
            args = (message, watched.name, seconds, stack_of(watched.thread))
            thread = threading.Thread(target=logger.critical, args=args, daemon=True)
            thread.start()
            thread.join(LOGGING_SECONDS)

    def _touch(self) -> None:
        if self._alive is None:
            return
        try:
            self._alive.touch()
        except OSError as error:
            logger.warning(
                "%s can't be written (%s): health checks will not see this worker.",
                self._alive,
                error,
            )
            self._alive = None


def stack_of(thread: threading.Thread) -> str:
    """Return the thread's stack on one line, innermost frame first: files, lines and functions, without any values."""
    frame = sys._current_frames().get(thread.ident or 0)
    if frame is None:
        return "nothing: the thread is dead"
    frames = islice(traceback.walk_stack(frame), FRAMES)
    return " < ".join(
        f"{_short(each.f_code.co_filename)}:{line} {each.f_code.co_name}"
        for each, line in frames
    )


def alive_file() -> Path:
    """Return the path of the file that a health check looks for, and remove the files of dead processes."""
    folder = Path(settings.ALIVE_DIR)
    with contextlib.suppress(OSError):  # logged when the file is touched
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("worker-*"):
            if not Path(f"/proc/{path.name.removeprefix('worker-')}").exists():
                path.unlink(missing_ok=True)
    return folder / f"worker-{os.getpid()}"


def _short(path: str) -> str:
    return "/".join(Path(path).parts[-2:])
