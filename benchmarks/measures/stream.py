"""A stream of single changes: four writers as fast as possible, and fifty changes a second."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import IO

from django.db import connection

from benchmarks import people, world
from benchmarks.naive.models import Log
from benchmarks.naive.pools import pools
from benchmarks.report import Figure, compared, single
from capi.models import ConversionEvent
from crm.models import Company

WRITERS = 4
PLENTY = 200_000


def four_writers(*, seconds: int) -> Iterator[Figure]:
    """Measure single saves by four writers, from the first save to the last acceptance."""
    with world.linkedin(), world.workers(2):
        company = _company("stream-ours", seconds)
        ours = _rate(
            company, "ours", seconds, lambda saved: people.all_accepted(company)
        )
    rates = []
    for pool in pools():
        with world.linkedin(), world.workers(1, *pool, NAIVE_PLAIN="1"):
            company = _company(f"stream-recipe-{len(rates)}", seconds, mapped=True)
            Log.objects.all().delete()
            rates.append(
                _rate(
                    company,
                    "recipe",
                    seconds,
                    lambda saved: Log.objects.count() >= saved,
                )
            )
    yield compared(
        "stream",
        [ours],
        [max(rates)],
        "events/s",
        f"{WRITERS} writers for {seconds} s, to the last acceptance",
    )


def latency(*, seconds: int, per_second: int = 50) -> Iterator[Figure]:
    """Measure the time from the commit to LinkedIn's acceptance, by the database's clock."""
    yield from _latency(
        "latency", "ours", {"p50": 0.5, "p95": 0.95, "p99": 0.99}, seconds, per_second
    )


def grace_period(*, seconds: int, per_second: int = 50) -> Iterator[Figure]:
    """Measure the same for changes that a person can undo: without a grace period, and with one of 30 seconds."""
    yield from _latency(
        "grace_0", "person", {"p50": 0.5}, seconds, per_second, grace_seconds=0
    )
    quantiles = {"min": 0.0, "p50": 0.5, "max": 1.0}
    yield from _latency(
        "grace_30", "person", quantiles, seconds, per_second, grace_seconds=30
    )


def _latency(
    name: str,
    way: str,
    quantiles: dict[str, float],
    seconds: int,
    per_second: int,
    **fields: int,
) -> Iterator[Figure]:
    with world.linkedin(delay_ms=50), world.workers(2):
        company = _company(name.replace("_", "-"), seconds, **fields)
        _write(company, way, seconds, per_second / WRITERS)
        world.wait_for(lambda: people.all_accepted(company))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT percentile_cont(%s::float[]) WITHIN GROUP (ORDER BY extract(epoch FROM settled_at - happened_at)), "
            "count(*) FROM capi_conversionevent WHERE company_id = %s",
            [list(quantiles.values()), company.pk],
        )
        values, count = cursor.fetchone()
    detail = f"{count:,} changes at {per_second} a second, LinkedIn answers after 50 ms"
    for quantile, value in zip(quantiles, values, strict=True):
        yield single(f"{name}_{quantile}_s", value, "s", detail)


def _company(name: str, seconds: int, *, mapped: bool = True, **fields: int) -> Company:
    company = people.connected_company(
        name, crm_event="lead_qualified", mapped=mapped, **fields
    )
    people.waiting_events(company, min(PLENTY, seconds * 1500))
    return company


def _rate(
    company: Company, way: str, seconds: int, is_done: Callable[[int], bool]
) -> float:
    saved, started = _write(company, way, seconds, 0)
    world.wait_for(lambda: is_done(saved))
    return saved / (time.perf_counter() - started)


def _write(
    company: Company, way: str, seconds: int, per_second: float
) -> tuple[int, float]:
    """Return the number of saves, and the time at which the first one started."""
    arguments = [str(company.pk), way, str(seconds), str(per_second)]
    writers = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "benchmarks.writer",
                *arguments,
                str(part),
                str(WRITERS),
            ],
            cwd=world.ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for part in range(WRITERS)
    ]
    for writer in writers:
        assert _output(writer).readline() == "ready\n"
    started = time.perf_counter()
    for writer in writers:
        print("go", file=writer.stdin, flush=True)
    # Reads until they exit.
    saved = sum(int(_output(writer).read()) for writer in writers)
    assert (
        way not in ("ours", "person")
        or ConversionEvent.objects.filter(company=company).count() == saved
    )
    return saved, started


def _output(writer: subprocess.Popen[str]) -> IO[str]:
    assert writer.stdout is not None
    return writer.stdout
