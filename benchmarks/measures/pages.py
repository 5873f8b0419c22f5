"""Pages, and the selection of a batch, with a log of millions of rows."""

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from io import StringIO
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext

from benchmarks import people, report
from benchmarks.report import Figure
from capi.delivery import selection
from capi.models import ConversionEvent
from capi.models.functions import database_now
from capi.services.statistics import recount_days
from crm.models import Company, Membership, User

SMALL = 1_000
REQUESTS = 40
# A URL, or the object whose page it is: an event, its lead or its rule.
PAGES = {
    "events_page": "/integrations/linkedin/events/",
    "event_page": "event",
    "lead_page": "lead",
    "rule_page": "rule",
    "dashboard": "/dashboard/",
    "overview": "/integrations/linkedin/overview/?period=90",
}


def many_rows(*, events: int) -> Iterator[Figure]:
    """Measure the server time of each page with a thousand events and with millions, for one company among fifty."""
    settings.ALLOWED_HOSTS = ["*"]
    settings.HTTPS = False
    for number in range(49):
        people.connected_company(f"pages-{number}")
    small, large = _company("pages-small", SMALL), _company("pages-large", events)
    started = time.perf_counter()
    recount_days()
    seconds = round(time.perf_counter() - started, 1)
    yield Figure(
        "count_every_day_s",
        seconds,
        None,
        None,
        "s",
        f"all days of {events:,} events, in the worker",
    )
    for name, path in PAGES.items():
        few, many = _times(small, path), _times(large, path)
        queries = (
            f"{_queries(large, path)} queries, {_queries(small, path)} with {SMALL:,}"
        )
        detail = f"server time p50, {events:,} events and {SMALL:,}; p95 {_p95(many):.1f} ms; {queries}"
        yield _cost(
            f"{name}_5m_vs_1k", statistics.median(many), statistics.median(few), detail
        )
        if name in ("events_page", "overview"):
            yield Figure(
                f"{name}_p95_ms",
                round(_p95(many), 2),
                None,
                None,
                "ms",
                f"{events:,} events",
            )


def claim(*, events: int) -> Iterator[Figure]:
    """Select the next batch of a lane with a thousand finished rows and with millions. Saves PostgreSQL's plans."""
    few, many = _claim("lane-small", SMALL), _claim("lane-large", events)
    (report.RESULTS.parent / "lane_explained.txt").write_text(
        f"{SMALL:,} finished rows\n\n{few.plan}\n\n{events:,} finished rows\n\n{many.plan}\n"
    )
    detail = f"next batch of 5,000 next to {events:,} finished rows"
    yield _cost("lane_10m_vs_1k", many.milliseconds, few.milliseconds, detail)


@dataclass(frozen=True, slots=True)
class Claim:
    """The median time to select the same batch several times, and the plan of the last statement."""

    milliseconds: float
    plan: str


def _company(name: str, events: int) -> Company:
    company = people.connected_company(name)
    people.waiting_events(company, SMALL)
    # Older than all the following events: a log is in order of time.
    ended = {"state": "accepted", "next_attempt_at": None, "http_status": 201}
    ConversionEvent.objects.filter(company=company).update(
        created_at=Now() - timedelta(days=90), **ended
    )
    settings.LINKEDIN_SANDBOX = True
    call_command("make_events", company=company.slug, count=events, stdout=StringIO())
    user = User.objects.create_user(f"{name}@example.com", f"{name}@example.com", "x")
    Membership.objects.create(company=company, user=user, role="admin")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return company


def _times(company: Company, path: str) -> list[float]:
    client = _signed_in(company)
    times = []
    for url in _urls(company, path, REQUESTS + 5):
        started = time.perf_counter()
        response = client.get(url)
        times.append((time.perf_counter() - started) * 1000)
        assert response.status_code == 200, response.status_code
    return times[5:]


def _queries(company: Company, path: str) -> int:
    (url,) = _urls(company, path, 1)
    client = _signed_in(company)
    client.get(url)
    with CaptureQueriesContext(connection) as queries:
        client.get(url)
    return len(queries)


def _urls(company: Company, path: str, count: int) -> Iterator[str]:
    """Yield the same URL each time, or the URLs of the newest events, of their leads or of their rules."""
    events = ConversionEvent.objects.filter(company=company).order_by("-pk")
    for event in events.select_related("lead", "rule")[:count]:
        owners = {"event": event, "lead": event.lead, "rule": event.rule}
        yield owners[path].get_absolute_url() if path in owners else path


def _signed_in(company: Company) -> Client:
    client = Client()
    client.force_login(
        company.memberships.get().user, backend=settings.AUTHENTICATION_BACKENDS[0]
    )
    return client


def _claim(name: str, finished: int) -> Claim:
    company = _company(name, finished)
    people.waiting_events(company, 5_000)
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    times = []
    for _ in range(15):
        started = time.perf_counter()
        batch = selection.next_batch(company.pk, size=5_000, now=database_now())
        times.append((time.perf_counter() - started) * 1000)
        assert len(getattr(batch, "sendable", ())) == 5_000
    return Claim(statistics.median(times[2:]), _plan(company))


def _plan(company: Company) -> str:
    """Return PostgreSQL's plan of the statement that reads the events."""
    plans = []

    def explained(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.startswith("SELECT"):
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS) {sql}", params)
                plans.append("\n".join(line for (line,) in cursor.fetchall()))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explained):
        selection.next_batch(company.pk, size=5_000, now=database_now())
    return plans[-1]


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


def _cost(measure: str, ours: float, baseline: float, detail: str) -> Figure:
    return Figure(
        measure,
        round(ours, 2),
        round(baseline, 2),
        round(ours / baseline, 3),
        "ms",
        detail,
    )
