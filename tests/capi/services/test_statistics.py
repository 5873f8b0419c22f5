"""Daily counts of the log: counted again for a day that changed, and kept when the log's rows are gone."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from capi.models import ConversionEvent, CountedLog, DayCount
from capi.models.statistics import percentile
from capi.services.statistics import recount_days, refresh_counts
from crm.models import Company
from tests.capi.conftest import send_all
from tests.capi.counted import count_now, counts, record
from tests.conftest import make_lead
from tests.housekeeping import keep_house

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def test_each_day_is_counted_by_state_and_reason_without_tests(
    company, make_rule
) -> None:
    rule = make_rule()
    record(rule, "accepted", NOON - DAY)
    record(rule, "rejected", NOON - DAY, reason="data_refused")
    record(rule, "accepted", NOON)
    record(rule, "accepted", NOON)
    record(rule, "accepted", NOON, is_test=True)
    record(rule, "waiting", NOON, reason="no_email")
    record(rule, "pending", NOON, reason="throttled")

    count_now()

    assert counts(company) == {
        ("2026-03-09", "accepted", ""): 1,
        ("2026-03-09", "rejected", "data_refused"): 1,
        ("2026-03-10", "accepted", ""): 2,
        ("2026-03-10", "waiting", "no_email"): 1,
        ("2026-03-10", "pending", ""): 1,
    }


def test_counting_twice_changes_nothing(company, make_rule) -> None:
    record(make_rule(), "accepted")
    count_now()
    once = list(DayCount.objects.values_list("day", "state", "count"))

    count_now()
    recount_days()

    assert list(DayCount.objects.values_list("day", "state", "count")) == once


def test_what_comes_in_is_counted_with_the_next_turn(company, make_rule) -> None:
    rule = make_rule()
    record(rule, "accepted")
    count_now()

    record(rule, "skipped", reason="opted_out")
    count_now()

    today = timezone.localdate().isoformat()
    assert counts(company) == {
        (today, "accepted", ""): 1,
        (today, "skipped", "opted_out"): 1,
    }


def test_a_day_long_past_is_counted_again_once_something_of_it_ends(
    company, make_rule
) -> None:
    rule = make_rule()
    old = record(rule, "waiting", NOON, reason="no_email")
    record(rule, "accepted", NOON + DAY)
    count_now()

    ConversionEvent.objects.filter(pk=old.pk).update(
        state="accepted", reason="", settled_at=NOON + 3 * DAY
    )
    count_now()

    assert counts(company) == {
        ("2026-03-10", "accepted", ""): 1,
        ("2026-03-11", "accepted", ""): 1,
    }


def test_an_event_that_is_tried_again_by_hand_leaves_its_old_state(
    company, make_rule
) -> None:
    event = record(make_rule(), "exhausted", NOON, reason="timed_out")
    count_now()

    ConversionEvent.objects.filter(pk=event.pk).update(state="pending", reason="")
    count_now()

    assert counts(company) == {("2026-03-10", "pending", ""): 1}


def test_one_that_ends_while_another_begins_is_noticed(company, make_rule) -> None:
    rule = make_rule()
    first, second = (
        record(rule, "pending", NOON),
        record(rule, "exhausted", NOON, reason="timed_out"),
    )
    count_now()

    ConversionEvent.objects.filter(pk=first.pk).update(
        state="rejected", reason="data_refused"
    )
    ConversionEvent.objects.filter(pk=second.pk).update(state="pending", reason="")
    count_now()

    assert counts(company) == {
        ("2026-03-10", "pending", ""): 1,
        ("2026-03-10", "rejected", "data_refused"): 1,
    }


def test_what_a_turn_can_not_see_is_put_right_by_the_nightly_count(
    company, make_rule
) -> None:
    event = record(make_rule(), "cancelled", NOON, reason="lead_deleted")
    count_now()

    ConversionEvent.objects.filter(pk=event.pk).update(
        state="accepted", reason="", settled_at=NOON
    )
    count_now()
    before = counts(company)
    recount_days()

    assert before == {("2026-03-10", "cancelled", "lead_deleted"): 1}
    assert counts(company) == {("2026-03-10", "accepted", ""): 1}


def test_days_begin_at_midnight_in_the_companys_time_zone(company, make_rule) -> None:
    # Thirteen hours ahead in March.
    Company.objects.filter(pk=company.pk).update(time_zone="Pacific/Auckland")
    rule = make_rule()
    record(rule, "accepted", datetime(2026, 3, 10, 10, 59, 59, tzinfo=UTC))
    record(rule, "rejected", datetime(2026, 3, 10, 11, 0, tzinfo=UTC))

    count_now()

    assert counts(company) == {
        ("2026-03-10", "accepted", ""): 1,
        ("2026-03-11", "rejected", ""): 1,
    }


def test_a_day_of_23_hours_and_one_of_25_lose_nothing(company, make_rule) -> None:
    Company.objects.filter(pk=company.pk).update(time_zone="Europe/Amsterdam")
    rule = make_rule()
    # Midnight, local.
    for day in (
        datetime(2026, 3, 28, 23, tzinfo=UTC),
        datetime(2026, 10, 24, 22, tzinfo=UTC),
    ):
        for hour in range(30):
            record(rule, "accepted", day + timedelta(hours=hour))

    count_now()

    assert counts(company) == {
        ("2026-03-29", "accepted", ""): 23, ("2026-03-30", "accepted", ""): 7,
        ("2026-10-25", "accepted", ""): 25, ("2026-10-26", "accepted", ""): 5,
    }  # fmt: skip


def test_a_company_that_moves_to_another_time_zone_is_counted_anew(
    company, make_rule
) -> None:
    rule = make_rule()
    record(rule, "accepted", datetime(2026, 3, 10, 23, 30, tzinfo=UTC))
    count_now()
    before = counts(company)

    Company.objects.filter(pk=company.pk).update(time_zone="Europe/Amsterdam")
    count_now()

    assert before == {("2026-03-10", "accepted", ""): 1}
    assert counts(company) == {("2026-03-11", "accepted", ""): 1}


def test_companies_are_counted_apart(company, other_company, make_rule) -> None:
    record(make_rule(), "accepted", NOON)
    record(make_rule(company=other_company), "rejected", NOON)

    count_now()

    assert counts(company) == {("2026-03-10", "accepted", ""): 1}
    assert counts(other_company) == {("2026-03-10", "rejected", ""): 1}


def test_a_company_is_counted_by_one_worker_at_a_time_and_not_all_the_time(
    company, make_rule
) -> None:
    rule = make_rule()
    refresh_counts()

    record(rule, "accepted", NOON)
    refresh_counts()

    assert not DayCount.objects.exists()


def test_where_nothing_happened_a_turn_counts_no_day(company, make_rule) -> None:
    rule = make_rule()
    for state in ("accepted", "waiting", "rejected"):
        record(rule, state, NOON)
    count_now()
    CountedLog.objects.update(claimed_at=None)

    with CaptureQueriesContext(connection) as queries:
        refresh_counts()

    assert not [query for query in queries if "capi_daycount" in query["sql"]]
    assert len(queries) == 7, [query["sql"][:100] for query in queries]


def test_pruning_keeps_the_counts_and_takes_the_rows(
    company, make_rule, settings
) -> None:
    settings.RETENTION_DAYS = 30
    rule, now = make_rule(), timezone.now()
    old = record(rule, "accepted", now - 40 * DAY)
    recent = record(rule, "accepted", now - 2 * DAY)

    keep_house()
    recount_days()

    assert list(ConversionEvent.objects.values_list("pk", flat=True)) == [recent.pk]
    days = {timezone.localdate(event.created_at).isoformat() for event in (old, recent)}
    assert {day for day, _, _ in counts(company)} == days


def test_a_day_that_has_lost_rows_is_not_counted_again_even_where_more_is_kept_from_now_on(
    company, make_rule, settings
) -> None:
    rule, now = make_rule(), timezone.now()
    day = (now - 40 * DAY).replace(hour=12)
    record(rule, "accepted", day)
    record(rule, "waiting", day, reason="no_email")
    settings.RETENTION_DAYS = 30
    keep_house()

    settings.RETENTION_DAYS = 100
    recount_days()
    CountedLog.objects.update(time_zone="Europe/Amsterdam")
    count_now()

    assert counts(company)[timezone.localdate(day).isoformat(), "accepted", ""] == 1


def test_the_time_until_acceptance_is_told_within_a_tenth(company, make_rule) -> None:
    rule = make_rule()
    seconds = [0.05, 0.3, 1.0, 1.4, 2.0, 7.5, 60.0, 3600.0, 86400.0, 40 * 86400.0]
    for number in seconds:
        record(rule, "accepted", NOON, settled_at=NOON + timedelta(seconds=number))

    count_now()

    buckets = Counter({row.bucket: row.count for row in DayCount.objects.all()})
    for rank, number in enumerate(seconds[1:], start=2):
        assert percentile(buckets, rank / 10) == pytest.approx(number, rel=0.1)
    assert percentile(buckets, 0.1) == pytest.approx(0.1, rel=0.1)


def test_there_is_no_percentile_of_nothing() -> None:
    assert percentile({}, 0.5) is None


@pytest.mark.django_db(transaction=True)
def test_a_real_delivery_is_counted_as_it_went(company, connected, make_rule) -> None:
    make_rule()
    make_lead(company)
    make_lead(company, email="")
    count_now()
    queued = counts(company)

    send_all(company)
    count_now()

    today = timezone.localdate().isoformat()
    assert queued == {(today, "pending", ""): 1, (today, "waiting", "no_email"): 1}
    assert counts(company) == {
        (today, "accepted", ""): 1,
        (today, "waiting", "no_email"): 1,
    }
    assert date.fromisoformat(today) == DayCount.objects.get(state="accepted").day
