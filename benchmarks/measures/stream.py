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
        ours = _rate(company, "ours", seconds, lambda saved: people.all_accepted(company))
    rates = []
    for pool in pools():
        with world.linkedin(), world.workers(1, *pool, NAIVE_PLAIN="1"):
            company = _company(f"stream-recipe-{len(rates)}", seconds, mapped=True)
            Log.objects.all().delete()
            rates.append(_rate(company, "recipe", seconds, lambda saved: Log.objects.count() >= saved))
    yield compared(
        "stream", [ours], [max(rates)], "events/s", f"{WRITERS} writers for {seconds} s, to the last acceptance"
    )


def latency(*, seconds: int, per_second: int = 50) -> Iterator[Figure]:
    """Measure the time from the commit to LinkedIn's acceptance, by the database's clock."""
    with world.linkedin(delay_ms=50), world.workers(2):
        company = _company("latency", seconds)
        _write(company, "ours", seconds, per_second / WRITERS)
        world.wait_for(lambda: people.all_accepted(company))
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY "
            "extract(epoch FROM settled_at - happened_at)), count(*) FROM capi_conversionevent WHERE company_id = %s",
            [company.pk],
        )
        (p50, p95, p99), count = cursor.fetchone()
    detail = f"{count:,} changes at {per_second} a second, LinkedIn answers after 50 ms"
    for name, value in (("p50", p50), ("p95", p95), ("p99", p99)):
        yield single(f"latency_{name}_s", value, "s", detail)


def _company(name: str, seconds: int, *, mapped: bool = True) -> Company:
    company = people.connected_company(name, crm_event="lead_qualified", mapped=mapped)
    people.waiting_events(company, min(PLENTY, seconds * 1500))
    return company


def _rate(company: Company, way: str, seconds: int, is_done: Callable[[int], bool]) -> float:
    saved, started = _write(company, way, seconds, 0)
    world.wait_for(lambda: is_done(saved))
    return saved / (time.perf_counter() - started)


def _write(company: Company, way: str, seconds: int, per_second: float) -> tuple[int, float]:
    """Return the number of saves, and the time at which the first one started."""
    arguments = [str(company.pk), way, str(seconds), str(per_second)]
    writers = [
        subprocess.Popen(
            [sys.executable, "-m", "benchmarks.writer", *arguments, str(part), str(WRITERS)],
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
    saved = sum(int(_output(writer).read()) for writer in writers)  # reads until they exit
    assert way != "ours" or ConversionEvent.objects.filter(company=company).count() == saved
    return saved, started


def _output(writer: subprocess.Popen[str]) -> IO[str]:
    assert writer.stdout is not None
    return writer.stdout
