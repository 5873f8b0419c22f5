"""Which worker does the housekeeping, and when: one at a time, daily by the database's clock, another if it dies."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection, connections
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from capi.delivery import shutdown
from capi.linkedin.sandbox.request_log import RequestLog
from capi.models import (
    Attempt,
    ConversionEvent,
    ConversionRule,
    CountedLog,
    DayCount,
    EarlierAttempt,
    Housekeeping,
)  # fmt: skip
from capi.models.workers import LAPSES
from capi.services import statistics
from capi.services.statistics import _count
from crm.models import Company, IdempotencyRecord
from leadmachine import housekeeping
from leadmachine.housekeeping import keep_house_if_due
from leadmachine.retention import RETENTIONS
from postgresql.bounds import HOUSEKEEPING_SECONDS
from tests.capi.linkedin.sandbox.test_request_log import entry
from tests.conftest import make_lead
from tests.crm.files import AWAY, names_stored, put
from tests.housekeeping import keep_house, let_a_day_pass
from tests.plans import plans, read, read_whole

pytestmark = [pytest.mark.django_db, pytest.mark.covers("F72")]


def old_sessions(count: int = 1) -> None:
    ended = timezone.now() - timedelta(days=1)
    Session.objects.bulk_create(
        Session(session_key=f"old-{n}", expire_date=ended) for n in range(count)
    )


def old_form(company: Company) -> None:
    IdempotencyRecord.objects.create(
        company=company, sha256="0" * 64, posted_at=timezone.now() - timedelta(days=8)
    )


def seconds_of_claim() -> float:
    row = Housekeeping.objects.get()
    assert row.claimed_until is not None
    return (row.claimed_until - timezone.now()).total_seconds()


# --- when ------------------------------------------------------------------------------------------------------------


def test_a_new_installation_has_its_first_turn_after_a_day() -> None:
    old_sessions()

    assert not keep_house_if_due()
    assert Session.objects.exists()
    assert Housekeeping.objects.get().done_at > timezone.now() - timedelta(minutes=1)


def test_within_a_day_of_the_last_turn_there_is_none() -> None:
    Housekeeping.objects.create(pk=1, done_at=Now() - timedelta(hours=23))
    old_sessions()

    assert not keep_house_if_due()
    assert Session.objects.exists()


def test_after_a_day_there_is_one_and_then_none_for_another_day() -> None:
    let_a_day_pass()
    old_sessions()

    turns = [keep_house_if_due(), keep_house_if_due()]

    assert turns == [True, False]
    assert not Session.objects.exists()


def test_months_in_which_nobody_kept_house_are_made_up_for_in_one_turn(
    company, monkeypatch
) -> None:
    monkeypatch.setattr(housekeeping, "BATCH", 10)
    Housekeeping.objects.create(pk=1, done_at=Now() - timedelta(days=200))
    old_sessions(95)
    old_form(company)

    keep_house_if_due()

    assert not Session.objects.exists()
    assert not IdempotencyRecord.objects.exists()


# --- who -------------------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_of_many_workers_that_look_at_once_one_has_the_turn() -> None:
    let_a_day_pass()

    def look(number: int) -> bool:
        try:
            return keep_house_if_due()
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as workers:
        turns = list(workers.map(look, range(8)))

    assert turns.count(True) == 1


def test_while_a_worker_is_at_it_no_other_begins() -> None:
    let_a_day_pass()
    claim_id = Housekeeping.objects.claim()

    assert claim_id is not None
    assert 1790 < seconds_of_claim() < 1810
    assert Housekeeping.objects.claim() is None


def test_where_a_worker_died_over_it_another_begins_again_once_the_claim_has_lapsed() -> (
    None
):
    let_a_day_pass()
    Housekeeping.objects.claim()
    old_sessions()
    assert not keep_house_if_due()
    Housekeeping.objects.update(claimed_until=Now() - timedelta(seconds=1))

    assert keep_house_if_due()
    assert not Session.objects.exists()


def test_a_worker_that_wakes_after_its_claim_has_lapsed_deletes_no_more(
    monkeypatch, caplog
) -> None:
    """It is frozen in its first batch, as by SIGSTOP, until another worker has taken over."""
    monkeypatch.setattr(housekeeping, "BATCH", 10)
    let_a_day_pass()
    old_sessions(25)

    def freeze(seconds: float) -> None:
        Housekeeping.objects.update(claimed_until=Now() - timedelta(seconds=1))
        assert Housekeeping.objects.claim() is not None

    monkeypatch.setattr(time, "sleep", freeze)

    keep_house_if_due()

    assert Session.objects.count() == 15
    assert Housekeeping.objects.get().done_at < timezone.now() - timedelta(hours=23)
    assert 1790 < seconds_of_claim() < 1810  # the other worker's, as it was
    assert "another worker has taken over" in caplog.text


def test_a_claim_outlasts_the_longest_statement_of_its_turn_several_times() -> None:
    assert LAPSES.total_seconds() >= 3 * HOUSEKEEPING_SECONDS


def test_a_worker_that_counts_for_long_keeps_its_claim_from_day_to_day(
    rule, monkeypatch, settings
) -> None:
    settings.RETENTION_DAYS = 30
    events_of_old_days(rule, 3)
    let_a_day_pass()
    left, count = [], _count

    def count_slowly(*args: Any) -> None:
        left.append(seconds_of_claim())
        count(*args)
        # Nearly half an hour later.
        Housekeeping.objects.update(claimed_until=Now() + timedelta(seconds=60))

    monkeypatch.setattr(statistics, "_count", count_slowly)

    keep_house_if_due()

    assert len(left) == 3
    assert min(left) > 1790
    assert not ConversionEvent.objects.exists()


def test_a_worker_that_is_to_end_while_it_counts_keeps_no_count_and_deletes_no_row(
    rule, monkeypatch, settings, request
) -> None:
    settings.RETENTION_DAYS = 30
    events_of_old_days(rule, 3)
    let_a_day_pass()
    request.addfinalizer(shutdown.reset)
    count = _count
    monkeypatch.setattr(
        statistics, "_count", lambda *args: (count(*args), shutdown.begin())
    )

    keep_house_if_due()

    assert CountedLog.objects.get().sealed_before is None
    assert ConversionEvent.objects.count() == 3
    assert DayCount.objects.count() == 1
    assert Housekeeping.objects.get().done_at < timezone.now() - timedelta(hours=23)


# --- how -------------------------------------------------------------------------------------------------------------


def let_forms_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(before: Any) -> Any:
        raise RuntimeError("no such thing")

    [forms] = RETENTIONS["crm.IdempotencyRecord"]
    monkeypatch.setitem(
        RETENTIONS,
        "crm.IdempotencyRecord",
        (type(forms)(forms.period, forms.since, fail),),
    )


def test_a_table_that_fails_keeps_no_other_from_its_turn_and_is_tried_again_in_an_hour(
    company, monkeypatch, caplog
) -> None:
    let_forms_fail(monkeypatch)
    let_a_day_pass()
    old_form(company)
    old_sessions()

    with caplog.at_level(logging.ERROR):
        keep_house_if_due()

    assert IdempotencyRecord.objects.exists()
    assert not Session.objects.exists()
    assert [record.getMessage() for record in caplog.records] == [
        "Old rows of crm.IdempotencyRecord could not be deleted; the next attempt is in an hour."
    ]
    assert 3590 < seconds_of_claim() < 3610
    assert not keep_house_if_due()

    monkeypatch.undo()
    Housekeeping.objects.update(claimed_until=Now())
    assert keep_house_if_due()
    assert not IdempotencyRecord.objects.exists()


def test_rows_go_in_small_statements_also_where_some_that_stay_lie_between(
    company, rule, monkeypatch
) -> None:
    monkeypatch.setattr(housekeeping, "BATCH", 10)
    attempts = old_attempts(rule, 45)
    event = ConversionEvent.objects.create(company=company, rule=rule)
    EarlierAttempt.objects.bulk_create(
        EarlierAttempt(event=event, attempt=one) for one in attempts[5:25:2]
    )

    with CaptureQueriesContext(connection) as queries:
        keep_house()

    deletes = [
        query["sql"]
        for query in queries
        if query["sql"].startswith('DELETE FROM "capi_attempt"')
    ]
    assert set(Attempt.objects.all()) == set(attempts[5:25:2])
    assert len(deletes) == 5
    assert all(sql.count(",") < 10 for sql in deletes)
    assert not [query["sql"] for query in queries if "sent_hashes" in query["sql"]]


@pytest.mark.parametrize("is_on", [True, False], ids=["sandbox", "no sandbox"])
def test_the_file_of_the_sandbox_is_set_aside_where_there_is_a_sandbox(
    is_on, settings, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(housekeeping, "LEDGER_BYTES", 10)
    settings.LINKEDIN_SANDBOX, settings.LINKEDIN_SANDBOX_LEDGER = (
        is_on,
        tmp_path / "sandbox.jsonl",
    )
    settings.LINKEDIN_SANDBOX_LEDGER.write_text("more than ten bytes")

    keep_house()

    assert [path.name for path in tmp_path.iterdir()] == [
        "sandbox.jsonl.1" if is_on else "sandbox.jsonl"
    ]


@pytest.mark.parametrize("is_on", [True, False], ids=["sandbox", "no sandbox"])
def test_what_the_sandbox_received_goes_with_the_log(is_on, settings, tmp_path) -> None:
    settings.LINKEDIN_SANDBOX, settings.RETENTION_DAYS = is_on, 30
    settings.LINKEDIN_SANDBOX_LEDGER = tmp_path / "sandbox.jsonl"
    ledger = RequestLog(settings.LINKEDIN_SANDBOX_LEDGER)
    for days in (31, 29):
        ledger.append(replace(entry(), time=timezone.now() - timedelta(days=days)))

    keep_house()

    assert [received.number for received in ledger.tail(10)] == [2]


@pytest.fixture
def rule(company: Company) -> ConversionRule:
    return ConversionRule.objects.create(
        company=company, crm_event="lead_created", linkedin_id="104012", name="Leads"
    )


def events_of_old_days(rule: ConversionRule, count: int) -> None:
    """A finished event on each of `count` days, all too old to be kept any longer."""
    for number in range(count):
        moment = timezone.now() - timedelta(days=300 - number)
        dates = {"happened_at": moment, "created_at": moment, "settled_at": moment}
        ConversionEvent.objects.create(
            company=rule.company, rule=rule, state="accepted", **dates
        )


def old_attempts(rule: ConversionRule, count: int) -> list[Attempt]:
    long_ago = timezone.now() - timedelta(days=200)
    return Attempt.objects.bulk_create(
        Attempt(company=rule.company, rule=rule, started_at=long_ago)
        for _ in range(count)
    )


LARGE = {
    "capi_conversionevent",
    "capi_attempt",
    "capi_earlierattempt",
    "crm_crmevent",
    "crm_lead",
}
TIED = """
    WITH made AS (
        INSERT INTO capi_attempt (company_id, rule_id, linkedin_id, sent_value, api_version, duration_ms, event_count,
                                  code, message, sent_hashes)
        SELECT company_id, rule_id, '104012', false, '202609', 1, 1, '', '', '' FROM capi_conversionevent RETURNING id
    )
    INSERT INTO capi_earlierattempt (event_id, attempt_id)
    SELECT event.id, attempt.id FROM (SELECT id, row_number() OVER () AS n FROM capi_conversionevent) AS event
    JOIN (SELECT id, row_number() OVER () AS n FROM made) AS attempt USING (n)
"""


@pytest.mark.thorough
def test_no_statement_of_a_turn_reads_a_large_table_whole(
    company, rule, settings
) -> None:
    settings.LINKEDIN_SANDBOX = True
    make_lead(company)
    ConversionEvent.objects.update(created_at=timezone.now() - timedelta(days=200))
    old = old_attempts(rule, 1_500)
    call_command("make_events", company=company.slug, count=100_000, stdout=StringIO())
    with connection.cursor() as cursor:
        # Otherwise PostgreSQL may join row by row below, for minutes.
        cursor.execute("ANALYZE")
        cursor.execute(TIED)
        cursor.execute("ANALYZE")

    with plans() as found:
        keep_house()

    assert not Attempt.objects.filter(pk__in=[attempt.pk for attempt in old]).exists()
    assert Attempt.objects.count() == EarlierAttempt.objects.count() >= 100_000
    assert {"capi_conversionevent", "capi_attempt", "capi_earlierattempt"} <= read(
        found
    )
    assert read_whole(found) & LARGE == set()


# --- files -----------------------------------------------------------------------------------------------------------


def test_files_without_a_row_are_deleted_and_counted_in_the_log(caplog: Any) -> None:
    put("2026-03-10/orphan")

    keep_house()

    assert names_stored() == set()
    assert "deleted 1 files that no row refers to" in caplog.text


def test_where_the_database_is_away_no_other_table_waits_for_it_too(
    company, monkeypatch, caplog
) -> None:
    let_forms_fail(monkeypatch)
    let_a_day_pass()
    monkeypatch.setattr(connections["default"], "is_usable", lambda: False)

    with pytest.raises(RuntimeError, match="no such thing"):
        keep_house_if_due()

    assert caplog.text == ""
    # Another worker tries again once it has lapsed.
    assert 1790 < seconds_of_claim() < 1810


def test_a_storage_that_is_away_stops_no_table_and_is_tried_again_in_an_hour(
    settings: Any, caplog: Any
) -> None:
    settings.STORAGES = {**settings.STORAGES, "attachments": {"BACKEND": AWAY}}
    old_sessions()
    let_a_day_pass()

    assert keep_house_if_due()

    assert not Session.objects.exists()
    assert "Files without a row could not be deleted" in caplog.text
    assert Housekeeping.objects.get().done_at < timezone.now() - timedelta(hours=22)
    assert 3000 < seconds_of_claim() < 4000
