"""The Celery application. Messages are wake-ups: they hold ids only, and losing one loses nothing."""

import gc
import os
from typing import Any

from celery import Celery, bootsteps, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leadmachine.settings")

app = Celery("leadmachine")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


class Sweep(bootsteps.StartStopStep):  # type: ignore[misc]
    """Every worker sweeps, watches and keeps house by its own timers: nothing waits for a message that got lost.

    It starts once the pool stands and before the broker is reached for: with the broker down, that takes for ever.
    """

    requires = {"celery.worker.components:Pool"}

    def start(self, worker: Any) -> None:
        from capi.sweeper import Counter, Sweeper
        from capi.watcher import Watcher
        from leadmachine.housekeeping import Housekeeper

        Sweeper().start()
        Counter().start()
        Watcher().start()
        Housekeeper().start()


app.steps["worker"].add(Sweep)


class BrokerAnswers(bootsteps.StartStopStep):  # type: ignore[misc]
    """Each new connection to the broker is the end of an outage of it, if there was one."""

    requires = {"celery.worker.consumer.connection:Connection"}

    def start(self, consumer: Any) -> None:
        from leadmachine import outages

        outages.BROKER.ended()


app.steps["consumer"].add(BrokerAnswers)


@signals.worker_process_init.connect
def collect_garbage_seldom(**kwargs: Any) -> None:
    """Have a worker's garbage collection pass over Django and all else that stays, and begin later.

    A batch of 5,000 events is some 25,000 objects, which end by themselves. To look through them, and each time
    through all that stays, took 22 ms of a batch's 140.
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@signals.celeryd_init.connect
def bound_statements(**kwargs: Any) -> None:
    """Before the pool is forked, so that its processes have the bound too."""
    from leadmachine import patience

    patience.of_worker()


@signals.celeryd_init.connect
def refuse_wrong_settings(**kwargs: Any) -> None:
    """A worker does not start with settings that a web server would refuse, and warns of what it would."""
    from leadmachine import start

    start.refuse_wrong_settings()
    start.log_warnings()


@signals.celeryd_init.connect
def keep_the_workers_name_readable(sender: str, **kwargs: Any) -> None:
    """A worker's name stays as it is in the log, though `celery@host` looks like an address."""
    from leadmachine import logs

    logs.keep_readable(sender)
