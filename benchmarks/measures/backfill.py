"""A backfill: its preview, its run, and a run whose worker is killed."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import psutil
from django.db import connection
from django.utils import timezone

from benchmarks import people, world
from benchmarks.report import Figure, single
from capi.delivery.backfill import preview
from capi.models import Backfill, ConversionRule
from capi.services import backfills

PERIOD = timedelta(days=90)
# A lease must outlive a request.
SHORT = {"LEADMACHINE_LEASE_SECONDS": "50", "LEADMACHINE_SWEEP_SECONDS": "2"}


def past(*, events: int) -> Iterator[Figure]:
    """Preview and send the past events of a company without a rule, preview again, then repeat with a killed worker."""
    rule, since, until = _company_with_a_past("past", events)
    yield single(
        "backfill_plan",
        _preview_seconds(rule, since, until),
        "s",
        f"{events:,} CRM events, by reason",
    )
    with world.linkedin() as ledger, world.workers():
        started = time.perf_counter()
        backfills.start(rule=rule, since=since, until=until)
        world.wait_for(lambda: _is_done(rule))
        yield single(
            "backfill_run",
            events / (time.perf_counter() - started),
            "events/s",
            "from start to acceptance",
        )
        yield single(
            "backfill_requests",
            sum(1 for _ in ledger.open()),
            "requests",
            f"for {events:,}",
        )
    left = preview(rule, since=since, until=until)
    yield single(
        "backfill_again",
        events - left["sent"],
        "events",
        "that a second run would send",
    )
    yield from _killed(events)


def _killed(events: int) -> Iterator[Figure]:
    rule, since, until = _company_with_a_past("past-killed", events)
    with world.linkedin() as ledger:
        with world.workers(**SHORT) as (worker,):
            backfills.start(rule=rule, since=since, until=until)
            world.wait_for(lambda: rule.backfills.get().reached >= events // 3)
            _kill(worker)
        with world.workers(**SHORT):
            world.wait_for(lambda: _is_done(rule))
        accepted = _accepted(ledger)
    yield single(
        "backfill_killed_lost",
        events - len(accepted),
        "events",
        "in a run whose worker was killed",
    )
    doubled = accepted.total() - len(accepted)
    yield single(
        "backfill_killed_doubled",
        doubled,
        "events",
        "at most those of its current request",
    )


def _company_with_a_past(
    name: str, events: int
) -> tuple[ConversionRule, datetime, datetime]:
    company = people.connected_company(name, mapped=False)
    people.waiting_events(company, events)
    rule = ConversionRule.objects.create(
        company=company, crm_event="lead_created", linkedin_id="104012", name=name
    )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    now = timezone.now()
    return rule, now - PERIOD, now


def _preview_seconds(rule: ConversionRule, since: datetime, until: datetime) -> float:
    started = time.perf_counter()
    counts = preview(rule, since=since, until=until)
    seconds = time.perf_counter() - started
    assert counts["goes"] == counts.total()
    return seconds


def _is_done(rule: ConversionRule) -> bool:
    return Backfill.objects.get(rule=rule).state == "done" and people.all_accepted(
        rule.company
    )


def _kill(worker: psutil.Process) -> None:
    for process in [*worker.children(recursive=True), worker]:
        process.kill()


def _accepted(ledger: Path) -> Counter[str]:
    entries = [json.loads(line) for line in ledger.open()]
    batches = [
        entry["elements"] for entry in entries if 200 <= (entry["status"] or 0) < 300
    ]
    return Counter(element["eventId"] for elements in batches for element in elements)
