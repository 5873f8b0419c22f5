"""A worker's memory while it drains a long backlog."""

import threading
import time
from collections.abc import Iterator

import psutil

from benchmarks import people, world
from benchmarks.report import Figure, single
from capi.delivery.wakeup import wake
from capi.models import Connection

WARM_UP = 0.2


def of_a_worker(*, events: int) -> Iterator[Figure]:
    """Measure the peak resident memory, and its growth after the first fifth."""
    company = people.connected_company("memory")
    Connection.objects.filter(company=company).update(is_paused=True)
    people.waiting_events(company, events)
    with world.linkedin(), world.workers(1) as (worker,):
        samples, done = [], threading.Event()
        watcher = threading.Thread(target=_watch, args=(worker, samples, done))
        watcher.start()
        Connection.objects.filter(company=company).update(is_paused=False)
        wake(company.pk)
        world.wait_for(lambda: people.all_accepted(company), every=0.5)
        done.set()
        watcher.join()
    warm = samples[int(len(samples) * WARM_UP) :]
    yield single(
        "rss_peak_mb",
        max(samples),
        "MB",
        f"of the larger process, which sends, over {events:,} events",
    )
    yield single("rss_growth_mb", max(warm) - warm[0], "MB", "after the first fifth")


def _watch(worker: psutil.Process, samples: list[float], done: threading.Event) -> None:
    while not done.is_set():
        samples.append(
            max(process.memory_info().rss for process in (worker, *worker.children()))
            / 2**20
        )
        time.sleep(0.1)
