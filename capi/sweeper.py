"""The timer inside each worker: the sweep depends on no other process, no scheduler and no broker."""

import logging
import threading

from django.conf import settings
from django.db import close_old_connections

from capi.pipeline import sweep
from capi.pipeline.deliver import deliver
from capi.wakeup import wake

logger = logging.getLogger(__name__)

SWEEPS_PER_TIDY = 10


class Sweeper:
    """Every `SWEEP_SECONDS`: wake the lanes that nobody works on; every tenth time, tidy."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)
        self._woken_before: set[int] = set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end after what it is doing now."""
        self._stopped.set()

    def sweep(self) -> None:
        """Wake each due lane, and deliver here and now where the wake-up can't be sent or brought nothing last time."""
        due = sweep.due_companies()
        for company_id in due:
            if company_id in self._woken_before or not wake(company_id):
                deliver(company_id, seconds=settings.SWEEP_SECONDS)
        self._woken_before = set(due)

    def _run(self) -> None:
        round_number = 0
        while not self._stopped.wait(settings.SWEEP_SECONDS if round_number else 0):
            close_old_connections()
            try:
                if round_number % SWEEPS_PER_TIDY == 0:
                    sweep.tidy()
                self.sweep()
            except Exception:
                # The next round starts afresh: nothing may end this thread but the worker's own end.
                logger.exception("The sweep failed; it runs again in %s seconds.", settings.SWEEP_SECONDS)
            finally:
                close_old_connections()
            round_number += 1
