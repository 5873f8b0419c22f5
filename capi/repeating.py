"""What a worker does every so often by a timer of its own, which depends on no scheduler and no broker."""

import logging
import threading
from abc import ABC, abstractmethod

from django.db import close_old_connections

from capi import beats

logger = logging.getLogger(__name__)


class Repeating(ABC):
    """Does its `round` at once and then every `seconds`, in a thread of its own. A round that fails ends nothing.

    A round beats after each step: a round that is long is not taken for one that stands still.
    """

    name: str

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end after what it is doing now."""
        self._stopped.set()

    def join(self, seconds: float) -> None:
        """Wait until the thread has ended, for so long at most."""
        self._thread.join(max(0.0, seconds))

    @abstractmethod
    def seconds(self) -> float:
        """How long to wait between two rounds."""

    @abstractmethod
    def round(self, number: int) -> None:
        """What there is to do; `number` counts from 0."""

    def _run(self) -> None:
        beats.watch(self.name)
        number = 0
        while not self._rest(self.seconds() if number else 0):
            close_old_connections()
            try:
                self.round(number)
            except Exception:
                # The next round starts afresh: nothing may end this thread but the worker's own end.
                logger.exception("The %s failed; it runs again in %s seconds.", self.name, self.seconds())
            finally:
                close_old_connections()
            number += 1
        beats.unwatch()

    def _rest(self, seconds: float) -> bool:
        """Wait for the next round. True if there is to be none."""
        beats.beat(rest_seconds=seconds)
        is_over = self._stopped.wait(seconds)
        beats.beat()
        return is_over
