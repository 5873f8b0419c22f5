"""How fast a backlog drains: 100,000 pending events of one company, and of fifty."""

import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import psutil
from django.db import connection
from django.db.models import Sum

from benchmarks import people, world
from benchmarks.naive.models import Log, Narrow
from benchmarks.naive.pools import pools
from benchmarks.naive.tasks import send
from benchmarks.report import Figure, compared, single
from capi.delivery.wakeup import wake
from capi.models import Attempt, Connection, ConversionEvent
from crm.models import Company

BATCH = 5_000


def one_company(
    *,
    events: int,
    baseline_events: int,
    rounds: int = 2,
    delays_ms: Sequence[int] = (0, 50),
) -> Iterator[Figure]:
    """LeadMachine, the baseline and the tuned baseline in turn, with LinkedIn responding after 0 and after 50 ms."""
    _bound(events)  # the first round of a process is slower than any other
    for delay_ms in delays_ms:
        ours, plain, tuned, bounds, cpu, plain_cpu = [], [], [], [], [], []
        for turn in range(rounds):
            with world.linkedin(delay_ms=delay_ms) as ledger:
                rate, cpu_per_event = _ours(f"drain-{delay_ms}-{turn}", events)
                ours.append(rate)
                cpu.append(cpu_per_event)
                requests = sum(1 for _ in ledger.open())
            with world.linkedin(delay_ms=delay_ms):
                rate, cpu_per_event = _baseline(
                    baseline_events, delay_ms, "NAIVE_PLAIN"
                )
                plain.append(rate)
                plain_cpu.append(cpu_per_event)
                tuned.append(_baseline(baseline_events, delay_ms, "NAIVE_TUNED")[0])
            _tidy_up()  # or the bound would pay for what the recipes left behind
            bounds.append(_bound(events))
        detail = (
            f"{events:,} events of one company, LinkedIn answers after {delay_ms} ms"
        )
        yield compared(f"drain_{delay_ms}ms", ours, plain, "events/s", detail)
        yield compared(f"drain_{delay_ms}ms_vs_tuned", ours, tuned, "events/s", detail)
        if delay_ms == 0:
            yield compared(
                "drain_vs_bound",
                ours,
                bounds,
                "events/s",
                "one narrow row inserted and updated per event",
            )
            yield single(
                "requests_per_100k",
                requests * 100_000 / events,
                "requests",
                f"{requests} for {events:,}",
            )
            per_thousand = (
                [value * 1000 for value in cpu],
                [value * 1000 for value in plain_cpu],
            )
            yield _smaller(
                "cpu_vs_baseline",
                *per_thousand,
                "CPU s/1,000",
                "all processes but LinkedIn's",
            )


def many_companies(
    *, events: int, companies: int = 50, rounds: int = 2
) -> Iterator[Figure]:
    """Fifty companies with one, two and four workers in turn, with LinkedIn responding after 50 ms."""
    rates: dict[int, list[float]] = {1: [], 2: [], 4: []}
    for turn in range(rounds):
        for count, samples in rates.items():
            with world.linkedin(delay_ms=50):
                samples.append(_fifty(f"fifty-{turn}", count, events, companies))
    four = f"{companies} companies; 4 workers: {statistics.median(rates[4]):,.0f}/s"
    yield compared("workers_1_to_2", rates[2], rates[1], "events/s", four)


def _fifty(name: str, count: int, events: int, companies: int) -> float:
    created = [
        people.connected_company(f"{name}-{count}-{number}")
        for number in range(companies)
    ]
    Connection.objects.filter(company__in=created).update(is_paused=True)
    for company in created:
        people.waiting_events(company, events // companies)
    _tidy_up()
    with world.workers(count):
        started = time.perf_counter()
        Connection.objects.filter(company__in=created).update(is_paused=False)
        for company in created:
            wake(company.pk)
        world.wait_for(lambda: people.all_accepted(*created))
        return events / (time.perf_counter() - started)


def _ours(name: str, events: int) -> tuple[float, float]:
    company = people.connected_company(name)
    Connection.objects.filter(company=company).update(is_paused=True)
    people.waiting_events(company, events)
    _tidy_up()
    with world.workers() as workers:
        return _timed(company, events, workers)


def _timed(
    company: Company, events: int, workers: list[psutil.Process]
) -> tuple[float, float]:
    # Counts requests, which are written with their results: only twenty rows to read.
    def done() -> int:
        return (
            Attempt.objects.filter(company=company).aggregate(count=Sum("event_count"))[
                "count"
            ]
            or 0
        )

    Connection.objects.filter(company=company).update(is_paused=False)
    wake(company.pk)
    measured = _after_a_tenth(events, done, workers)
    assert (
        not ConversionEvent.objects.filter(company=company)
        .exclude(state="accepted")
        .exists()
    )
    return measured


def _after_a_tenth(
    events: int, done: Callable[[], int], workers: list[psutil.Process]
) -> tuple[float, float]:
    """Return events per second and CPU seconds per event, measured after the first tenth to exclude the start."""
    world.wait_for(lambda: done() >= events // 10, every=0.02)
    watched = [*workers, *world.servers()]
    before, cpu, started = done(), world.cpu_seconds(watched), time.perf_counter()
    world.wait_for(lambda: done() >= events, every=0.02)
    seconds = time.perf_counter() - started
    left = events - before
    return left / seconds, (world.cpu_seconds(watched) - cpu) / left


def _baseline(events: int, delay_ms: int, variant: str) -> tuple[float, float]:
    """Return the better result of processes and threads."""
    return max(_recipe(events, variant, *pool) for pool in pools(delay_ms=delay_ms))


def _recipe(events: int, variant: str, *pool: str) -> tuple[float, float]:
    company = people.connected_company(f"recipe-{time.time_ns()}", mapped=True)
    Connection.objects.filter(company=company).update(is_paused=True)
    people.waiting_events(company, events)
    Log.objects.all().delete()
    send.app.control.purge()
    for lead_id in company.leads.values_list("pk", flat=True):
        send.delay(lead_id, "lead_created")
    with world.workers(1, *pool, **{variant: "1"}) as workers:
        return _after_a_tenth(events, Log.objects.count, workers)


def _bound(events: int) -> float:
    """Return the events per second if each only inserts and updates a narrow row, in batches."""
    table = Narrow._meta.db_table
    started = time.perf_counter()
    with connection.cursor() as cursor:
        for _ in range(0, events, BATCH):
            cursor.execute(
                f"INSERT INTO {table} (state) SELECT 0 FROM generate_series(1, {BATCH}) RETURNING id"
            )
            keys = [key for (key,) in cursor.fetchall()]
            cursor.execute(f"UPDATE {table} SET state = 1 WHERE id = ANY(%s)", [keys])
    return events / (time.perf_counter() - started)


def _smaller(
    measure: str, ours: list[float], baseline: list[float], unit: str, detail: str
) -> Figure:
    """As `compared`, for figures where less is better: the ratio is the baseline divided by ours."""
    swapped = compared(measure, baseline, ours, unit, detail)
    return Figure(
        measure, swapped.baseline or 0, swapped.ours, swapped.ratio, unit, detail
    )


def _tidy_up() -> None:
    # Or a worker would run tasks that other measures left in the queue.
    send.app.control.purge()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    os.sync()
