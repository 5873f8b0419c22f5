"""The timers inside each worker: what they do depends on no other process, no scheduler and no broker."""

from django.conf import settings

from capi import shutdown
from capi.pipeline import counting, sweep
from capi.pipeline.deliver import deliver
from capi.repeating import Repeating
from capi.wakeup import wake

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
        return counting.EVERY_SECONDS

    def round(self, number: int) -> None:
        counting.refresh()
