"""Everything a worker does besides its tasks: timers, watchdog, start and stop, and child processes.

This module is imported before Django is set up, so anything that needs Django is imported where it is used.
"""

import gc
import time
from functools import partial
from typing import Any

from celery import bootsteps, signals


class Timers(bootsteps.StartStopStep):  # type: ignore[misc]
    """Starts the timers of each worker, so that no event waits for a message that was lost.

    They start after the pool but before connecting to the broker, which takes for ever if the broker is down.
    """

    requires = {"celery.worker.components:Pool"}

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        from capi.delivery import shutdown

        super().__init__(worker, **kwargs)
        shutdown.reset()  # before the pool is forked, because its processes share it

    def start(self, worker: Any) -> None:
        from capi.delivery import shutdown
        from leadmachine.housekeeping import Housekeeper
        from leadmachine.timers import DailyCounter, Jobs, Postman, Sweeper, Watcher
        from leadmachine.watchdog import Watchdog, alive_file

        ignore_what_stays()
        self._timers = [
            Sweeper(),
            DailyCounter(),
            Postman(),
            Jobs(1),
            Jobs(2),
            Watcher(),
            Housekeeper(),
        ]
        for timer in self._timers:
            timer.start()
        self._watchdog = Watchdog(
            alive=alive_file(),
            termination_seconds=shutdown.seconds(),
            children=lambda: worker.pool.info.get("processes", ()),
        )
        self._watchdog.start()

    def close(self, worker: Any) -> None:
        """Ask every thread and child process to stop, as `begin_shutdown` may have done already."""
        from capi.delivery import shutdown

        shutdown.begin()
        for timer in self._timers:
            timer.stop()

    def stop(self, worker: Any) -> None:
        """Wait for the timers: they deliver too, and must save the results of their requests."""
        from capi.delivery import shutdown
        from leadmachine.watchdog import EXIT_CODE

        if self._watchdog.is_triggered:
            # After SIGTERM it would be 0, and some supervisors would start no new
            # process.
            worker.exitcode = EXIT_CODE
        deadline = time.monotonic() + shutdown.seconds()
        for timer in self._timers:
            timer.join(deadline - time.monotonic())

    def terminate(self, worker: Any) -> None:
        """Do nothing: a cold shutdown does not wait for current requests."""


class MainLoop(bootsteps.StartStopStep):  # type: ignore[misc]
    """Sends beats for the loop that receives wake-ups. Unwatched while it waits for the broker, however long.

    The timer runs in the loop itself or, for transports without an event loop, in a thread that passes the beat on.
    """

    requires = {"celery.worker.consumer.tasks:Tasks"}
    _timer: Any = None

    def start(self, consumer: Any) -> None:
        from capi.delivery import beats

        beats.watch("main loop")
        self._timer = consumer.timer.call_repeatedly(
            1.0, partial(consumer.call_soon, beats.beat)
        )

    def stop(self, consumer: Any) -> None:
        """Stop the beats. Before each reconnection Celery stops all steps, even those it has not started yet."""
        from capi.delivery import beats

        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            beats.unwatch()


class BrokerConnected(bootsteps.StartStopStep):  # type: ignore[misc]
    """Reports a new connection to the broker, which ends an outage if there was one."""

    requires = {"celery.worker.consumer.connection:Connection"}

    def start(self, consumer: Any) -> None:
        from leadmachine import outages

        outages.BROKER.ended()


@signals.celeryd_init.connect
def bound_statements(**kwargs: Any) -> None:
    """Set the statement timeout before the pool is forked, so that its processes have it too."""
    from leadmachine import startup

    startup.bound_worker()


@signals.celeryd_init.connect
def refuse_wrong_settings(options: dict[str, Any], **kwargs: Any) -> None:
    """Refuse the same settings as the web server, and log the same warnings."""
    from leadmachine import database_connections, startup

    startup.log_version("worker")
    startup.refuse_wrong_settings()
    startup.log_warnings()
    needed = database_connections.of_worker(
        database_connections.concurrency_of(options)
    )
    database_connections.log("This worker", needed)


@signals.celeryd_init.connect
def keep_worker_name_readable(sender: str, **kwargs: Any) -> None:
    """Don't mask the worker's name in the log, although `celery@host` looks like an e-mail address."""
    from leadmachine import log_format

    log_format.keep_readable(sender)


@signals.worker_shutting_down.connect
def begin_shutdown(**kwargs: Any) -> None:
    """React to SIGTERM at once. A pool without processes or threads handles it only after its current task."""
    from capi.delivery import shutdown

    shutdown.begin()


@signals.task_prerun.connect
def watch_task(task: Any, **kwargs: Any) -> None:
    """Watch the thread or process of the pool that runs the task."""
    from capi.delivery import beats

    beats.watch(f"task {task.name}")


@signals.task_postrun.connect
def unwatch_task(**kwargs: Any) -> None:
    from capi.delivery import beats

    beats.unwatch()


@signals.worker_process_init.connect
def start_child(**kwargs: Any) -> None:
    """Start a watchdog in the child process. A child whose task is stuck exits, and the pool forks a new one."""
    from capi.delivery import beats
    from leadmachine.watchdog import Watchdog

    beats.forget()
    Watchdog().start()
    ignore_what_stays()


def ignore_what_stays() -> None:
    """Let garbage collection ignore the objects that a worker has created since the applications were loaded.

    A batch of 5,000 events creates some 25,000 objects, which reference counting frees. Scanning them, and all
    permanent objects each time, took 22 ms of a batch's 140, and a third of the time of an import.
    """
    gc.freeze()
