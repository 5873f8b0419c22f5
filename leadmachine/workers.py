"""What a worker does besides its tasks: its timers and its watchdog, how it begins and ends, and its children.

Imported before Django is set up, so that what needs Django is imported where it is used.
"""

import gc
import time
from functools import partial
from typing import Any

from celery import bootsteps, signals


class Sweep(bootsteps.StartStopStep):  # type: ignore[misc]
    """Every worker sweeps, watches and keeps house by its own timers: nothing waits for a message that got lost.

    It starts once the pool stands and before the broker is reached for: with the broker down, that takes for ever.
    """

    requires = {"celery.worker.components:Pool"}

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        from capi.delivery import shutdown

        super().__init__(worker, **kwargs)
        shutdown.reset()  # before the pool is forked, which shares it

    def start(self, worker: Any) -> None:
        from capi.delivery import shutdown
        from leadmachine.housekeeping import Housekeeper
        from leadmachine.timers import Counter, Sweeper, Watcher
        from leadmachine.watchdog import Watchdog, alive_file

        self._timers = [Sweeper(), Counter(), Watcher(), Housekeeper()]
        for timer in self._timers:
            timer.start()
        self._watchdog = Watchdog(
            alive=alive_file(),
            grace_seconds=shutdown.seconds(),
            children=lambda: worker.pool.info.get("processes", ()),
        )
        self._watchdog.start()

    def close(self, worker: Any) -> None:
        """The worker is to end: let every thread and child of it know, as `begin_to_end` may have done already."""
        from capi.delivery import shutdown

        shutdown.begin()
        for timer in self._timers:
            timer.stop()

    def stop(self, worker: Any) -> None:
        """Wait for the timers: they deliver too, and what they have in flight is to be written down."""
        from capi.delivery import shutdown
        from leadmachine.watchdog import EXIT_CODE

        if self._watchdog.found:
            worker.exitcode = EXIT_CODE  # SIGTERM alone would end it with 0, after which some supervisors start nothing
        until = time.monotonic() + shutdown.seconds()
        for timer in self._timers:
            timer.join(until - time.monotonic())

    def terminate(self, worker: Any) -> None:
        """At once, whatever is in flight."""


class MainLoop(bootsteps.StartStopStep):  # type: ignore[misc]
    """The loop that hears wake-ups beats while it runs. It does not while it waits for the broker, however long.

    The timer runs in the loop itself, or, where a transport has no such loop, in a thread that hands the beat to it.
    """

    requires = {"celery.worker.consumer.tasks:Tasks"}
    _timer: Any = None

    def start(self, consumer: Any) -> None:
        from capi.delivery import beats

        beats.watch("main loop")
        self._timer = consumer.timer.call_repeatedly(1.0, partial(consumer.call_soon, beats.beat))

    def stop(self, consumer: Any) -> None:
        """Before each new try to reach the broker Celery stops all steps, also those that it has not started yet."""
        from capi.delivery import beats

        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            beats.unwatch()


class BrokerAnswers(bootsteps.StartStopStep):  # type: ignore[misc]
    """Each new connection to the broker is the end of an outage of it, if there was one."""

    requires = {"celery.worker.consumer.connection:Connection"}

    def start(self, consumer: Any) -> None:
        from leadmachine import outages

        outages.BROKER.ended()


@signals.celeryd_init.connect
def bound_statements(**kwargs: Any) -> None:
    """Before the pool is forked, so that its processes have the bound too."""

    from leadmachine import startup

    startup.bound_worker()


@signals.celeryd_init.connect
def refuse_wrong_settings(**kwargs: Any) -> None:
    """A worker does not start with settings that a web server would refuse, and warns of what it would."""
    from leadmachine import startup

    startup.refuse_wrong_settings()
    startup.log_warnings()


@signals.celeryd_init.connect
def keep_the_workers_name_readable(sender: str, **kwargs: Any) -> None:
    """A worker's name stays as it is in the log, though `celery@host` looks like an address."""

    from leadmachine import log_format

    log_format.keep_readable(sender)


@signals.worker_shutting_down.connect
def begin_to_end(**kwargs: Any) -> None:
    """SIGTERM has come. A pool without processes or threads looks at it only after the task that it is doing."""
    from capi.delivery import shutdown

    shutdown.begin()


@signals.task_prerun.connect
def watch_task(task: Any, **kwargs: Any) -> None:
    """A task beats as well, whichever thread or process of the pool does it."""
    from capi.delivery import beats

    beats.watch(f"task {task.name}")


@signals.task_postrun.connect
def unwatch_task(**kwargs: Any) -> None:
    from capi.delivery import beats

    beats.unwatch()


@signals.worker_process_init.connect
def begin_child(**kwargs: Any) -> None:
    """A child whose task stands still ends itself, and the pool forks another; and it collects garbage seldom.

    Its garbage collection passes over Django and all else that stays, and begins later. A batch of 5,000 events is some
    25,000 objects, which end by themselves. To look through them, and each time through all that stays, took 22 ms of a
    batch's 140.
    """
    from capi.delivery import beats
    from leadmachine.watchdog import Watchdog

    beats.forget()
    Watchdog().start()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
