"""The cost of a long log: the daily deletion of old rows, and the Reconcile page of a week."""

import statistics
import time
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO

from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.models.functions import Now
from django.utils import timezone

from benchmarks import people
from benchmarks.report import Figure
from capi.models import (
    Attempt,
    Connection,
    ConversionEvent,
    EarlierAttempt,
    Housekeeping,
)
from capi.models.functions import WEEK, monday_of
from capi.selectors.reconcile import reconcile
from crm.models import Company
from leadmachine.housekeeping import keep_house_if_due

SMALL = 1_000
OLD = 10_000
ATTEMPTS = """
    INSERT INTO capi_attempt (company_id, rule_id, linkedin_id, sent_value, api_version, started_at, duration_ms,
                              event_count, code, message, sent_hashes)
    SELECT company_id, id, linkedin_id, false, '202609', now() - interval '1 day' * %s, 1, 1, '', '', ''
    FROM capi_conversionrule, generate_series(1, %s) WHERE company_id = %s
"""
TIED = """
    INSERT INTO capi_earlierattempt (event_id, attempt_id)
    SELECT event.id, attempt.id
    FROM (SELECT id, row_number() OVER () AS n FROM capi_conversionevent WHERE company_id = %s) AS event
    JOIN (SELECT id, row_number() OVER () AS n FROM capi_attempt
          WHERE company_id = %s AND started_at > now() - interval '100 days') AS attempt USING (n)
"""


def long_log(*, events: int) -> Iterator[Figure]:
    """Measure both with a thousand events and with many, each event with an earlier attempt."""
    _delete_attempts()  # old attempts must come before younger ones
    small = _company("growth-small", SMALL)
    few, few_reconciled = _housekeeping_seconds(small), _reconcile_milliseconds(small)
    _delete_attempts()
    large = _company("growth-large", events)
    many, many_reconciled = _housekeeping_seconds(large), _reconcile_milliseconds(large)
    detail = f"housekeeping that deletes {OLD:,} attempts next to {events:,} and next to {SMALL:,}, and counts all days"
    yield Figure(
        "prune_1m_vs_1k",
        round(many, 2),
        round(few, 2),
        round(many / few, 3),
        "s",
        detail,
    )
    detail = f"a week of a log of {events:,} events, and of one of {SMALL:,}"
    yield Figure(
        "reconcile_week_ms",
        round(many_reconciled, 1),
        round(few_reconciled, 1),
        None,
        "ms",
        detail,
    )


def _company(name: str, events: int) -> Company:
    company = people.connected_company(name)
    people.waiting_events(company, 1)
    ended = {"state": "accepted", "next_attempt_at": None, "http_status": 201}
    ConversionEvent.objects.filter(company=company).update(
        created_at=Now() - timedelta(days=90), **ended
    )
    with connection.cursor() as cursor:
        cursor.execute(ATTEMPTS, [200, OLD, company.pk])
        cursor.execute(ATTEMPTS, [10, events, company.pk])
        settings.LINKEDIN_SANDBOX = True
        call_command(
            "make_events", company=company.slug, count=events, stdout=StringIO()
        )
        # Or PostgreSQL may use nested loops for the next statement.
        cursor.execute("ANALYZE")
        cursor.execute(TIED, [company.pk, company.pk])
        cursor.execute("VACUUM ANALYZE")
    return company


def _delete_attempts() -> None:
    EarlierAttempt.objects.all().delete()
    Attempt.objects.all().delete()


def _housekeeping_seconds(company: Company) -> float:
    Housekeeping.objects.update_or_create(
        pk=1, defaults={"done_at": Now() - timedelta(days=1)}
    )
    before = Attempt.objects.filter(company=company).count()
    started = time.perf_counter()
    assert keep_house_if_due()
    seconds = time.perf_counter() - started
    assert before - Attempt.objects.filter(company=company).count() == OLD
    assert EarlierAttempt.objects.filter(event__company=company).exists()
    return seconds


def _reconcile_milliseconds(company: Company) -> float:
    linkedin_connection, monday = (
        Connection.objects.get(company=company),
        monday_of(timezone.localdate()) - WEEK,
    )
    times = []
    for _ in range(10):
        started = time.perf_counter()
        reconcile(company.pk, monday, linkedin_connection)
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)
