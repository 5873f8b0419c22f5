"""The timers inside each worker. They depend on no scheduler, no broker and no other process."""

import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial

from django.conf import settings
from django.db import close_old_connections

from capi.alerts import evaluate, notifications
from capi.delivery import beats, lane, shutdown, sweep
from capi.delivery.deliver import deliver
from capi.delivery.wakeup import wake
from capi.diagnostics import checkups
from capi.models import SWEEP, Heartbeat
from capi.models.functions import database_now
from capi.services.statistics import COUNT_EVERY_SECONDS, refresh_counts
from crm.accounts import mails
from crm.jobs import rounds
from crm.services import custom_fields, lead_duplicates, payloads, reminders
from crm.services.background import tried

logger = logging.getLogger(__name__)


class Repeating(ABC):
    """Runs `round` at once and then every `seconds`, in a separate thread. It survives a failed round.

    A round sends a beat after each step, so that the watchdog doesn't mistake a long round for a stuck one.
    """

    name: str

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._noted_at = -math.inf  # by time.monotonic()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end after its current step."""
        self._stopped.set()

    def join(self, seconds: float) -> None:
        """Wait until the thread has ended, at most `seconds`."""
        self._thread.join(max(0.0, seconds))

    @abstractmethod
    def seconds(self) -> float:
        """Return the wait between two rounds."""

    @abstractmethod
    def round(self, number: int) -> None:
        """Run one round; `number` counts from 0."""

    def _run(self) -> None:
        beats.watch(self.name)
        number = 0
        while not self._rest(self.seconds() if number else 0):
            close_old_connections()
            try:
                self.round(number)
                self._note_round()
            except Exception:
                # This thread must live as long as its worker: the next round tries again.
                logger.exception(
                    "The %s failed; it runs again in %s seconds.",
                    self.name,
                    self.seconds(),
                )
            finally:
                close_old_connections()
            number += 1
        beats.unwatch()

    def _note_round(self) -> None:
        """Record that a worker has finished a round, in one row for all workers on all machines. Not every 2 s."""
        now = time.monotonic()
        if now - self._noted_at >= settings.SWEEP_SECONDS / 2:
            Heartbeat.objects.beat(self.name)
            self._noted_at = now

    def _rest(self, seconds: float) -> bool:
        """Wait for the next round. Returns True if the timer was stopped."""
        beats.beat(rest_seconds=seconds)
        is_stopped = self._stopped.wait(seconds)
        beats.beat()
        return is_stopped


SWEEPS_PER_TIDY = 10
POST_EVERY_SECONDS = 2.0
JOBS_EVERY_SECONDS = 2.0
TURN_SECONDS = 5.0


class Sweeper(Repeating):
    """Every `SWEEP_SECONDS`: wakes due lanes that no worker holds. Every tenth time, also tidies up."""

    name = SWEEP

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
        """Wake each due lane. Deliver in this thread if the wake-up can't be sent or had no effect last time."""
        due = sweep.due_companies()
        for company_id in due:
            if shutdown.has_begun():
                return
            if company_id in self._woken_before or not wake(company_id):
                deliver(company_id, seconds=settings.SWEEP_SECONDS)
        self._woken_before = set(due)


class DailyCounter(Repeating):
    """Keeps the daily counts up to date. Separate from the sweep, because the first count of a long log is slow."""

    name = "count of the log"

    def seconds(self) -> float:
        return COUNT_EVERY_SECONDS

    def round(self, number: int) -> None:
        refresh_counts()


class Postman(Repeating):
    """Every two seconds: sends mails about accounts, which someone may be waiting for."""

    name = "post"

    def seconds(self) -> float:
        return POST_EVERY_SECONDS

    def round(self, number: int) -> None:
        mails.send_due(is_stopping=shutdown.has_begun)


class Jobs(Repeating):
    """Every two seconds: makes leads of payloads, and works on all jobs, for which people wait.

    Each statement of a chunk sends a beat.

    Payloads and jobs take turns of `TURN_SECONDS`, without a rest while either has more: neither keeps the other
    waiting. A worker has two of them, because a chunk may take a minute: a large file is read, or a spreadsheet is
    packed.
    """

    _has_more = False

    def __init__(self, number: int) -> None:
        self.name = f"jobs {number}"
        super().__init__()

    def seconds(self) -> float:
        return 0 if self._has_more else JOBS_EVERY_SECONDS

    def round(self, number: int) -> None:
        self._has_more = False
        has_payloads = payloads.process_payloads(go_on=_one_turn())
        has_jobs = rounds.work_through(go_on=_one_turn())
        self._has_more = (has_payloads or has_jobs) and not shutdown.has_begun()


def _one_turn() -> Callable[[], bool]:
    """Returns a function that is true for `TURN_SECONDS`, unless this process stops."""
    ends_at = time.monotonic() + TURN_SECONDS
    return lambda: time.monotonic() < ends_at and not shutdown.has_begun()


class Watcher(Repeating):
    """Every `SWEEP_SECONDS`: evaluates alerts, sends their mails and reminders of tasks, runs check-ups that are due,
    removes the values of deleted custom fields, and looks for duplicates among leads.

    Separate from the sweep, which must not wait for many companies, a slow mail server or LinkedIn.
    """

    name = "watch"

    def seconds(self) -> float:
        return settings.SWEEP_SECONDS

    def round(self, number: int) -> None:
        for company_id in evaluate.due_companies():
            if shutdown.has_begun():
                return
            failure = f"Company {company_id} could not be evaluated; the next round tries again."
            tried(partial(_evaluate, company_id), failure=failure)
        notifications.send_due()
        reminders.send_due(is_stopping=shutdown.has_begun)
        custom_fields.remove_values(go_on=lambda: not shutdown.has_begun())
        lead_duplicates.look_for_duplicates(
            go_on=lambda: not shutdown.has_begun(), is_sending=lane.are_any_leased
        )
        # Not in the first round: a check-up needs the heartbeat of the first sweep,
        # which runs in parallel.
        if number:
            checkups.check_up_due(seconds=settings.SWEEP_SECONDS)


def _evaluate(company_id: int) -> bool:
    return evaluate.evaluate(company_id, now=database_now())
