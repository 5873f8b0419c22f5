"""The timers inside each worker: what they do depends on no other process, no scheduler and no broker."""

import logging
import threading
from abc import ABC, abstractmethod

from django.conf import settings
from django.db import close_old_connections

from capi.alerts import evaluate, notifications
from capi.delivery import beats, shutdown, sweep
from capi.delivery.deliver import deliver
from capi.delivery.wakeup import wake
from capi.diagnostics import checkups
from capi.models.functions import database_now
from capi.services.statistics import COUNT_EVERY_SECONDS, refresh_counts

# --- What a worker does every so often by a timer of its own, which depends on no scheduler and no broker.

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


# --- The timers inside each worker: what they do depends on no other process, no scheduler and no broker.

SWEEPS_PER_TIDY = 10


class Sweeper(Repeating):
    """Every `SWEEP_SECONDS`: wake the lanes that nobody works on; every tenth time, tidy."""

    name = "sweep"

    def __init__(self) -> None:
        super().__init__()
        self._woken_before: set[int] = set()

    def seconds(self) -> float:
        return settings.SWEEP_SECONDS

    def round(self, number: int) -> None:
        if number % SWEEPS_PER_TIDY == 0:
            sweep.tidy()
        self.sweep()

    def sweep(self) -> None:
        """Wake each due lane, and deliver here and now where the wake-up can't be sent or brought nothing last time."""
        due = sweep.due_companies()
        for company_id in due:
            if shutdown.has_begun():
                return
            if company_id in self._woken_before or not wake(company_id):
                deliver(company_id, seconds=settings.SWEEP_SECONDS)
        self._woken_before = set(due)
        sweep.note_round()


class Counter(Repeating):
    """Keeps the counts by day up to date, beside the sweep: the first count of a long log takes its time."""

    name = "count of the log"

    def seconds(self) -> float:
        return COUNT_EVERY_SECONDS

    def round(self, number: int) -> None:
        refresh_counts()


# --- A timer inside each worker for what may be slow: looking at companies, mail servers, and asking LinkedIn.


class Watcher(Repeating):
    """Every `SWEEP_SECONDS`, beside the sweep: look at companies, send mails, and check up, where they are due."""

    name = "watch"

    def seconds(self) -> float:
        return settings.SWEEP_SECONDS

    def round(self, number: int) -> None:
        for company_id in evaluate.due_companies():
            if shutdown.has_begun():
                return
            try:
                evaluate.evaluate(company_id, now=database_now())
            except Exception:
                logger.exception("Company %s could not be looked at; the next round tries again.", company_id)
        notifications.send_due()
        if number:  # the first sweep leaves a sign of life beside this, which a check-up looks for
            checkups.check_up_due(seconds=settings.SWEEP_SECONDS)
