"""Thousands of keys as one parameter, and thousands of rows in one answer, on each database."""

import pytest
from django.db import connection, transaction

from capi.models import ConversionEvent, ConversionRule
from capi.pipeline import keys
from capi.pipeline.fetch import fetch
from capi.pipeline.lane import due_events
from capi.pipeline.take import COLUMNS
from tests.conftest import make_deal, make_lead

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]
needs_postgresql = pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite reads all in one way")


@pytest.fixture
def events(company, connected, make_rule) -> list[int]:
    make_rule("lead_created")
    make_rule("deal_created")
    make_deal(make_lead(company), amount="1250.50", currency="EUR")
    make_lead(company, email="")
    return list(ConversionEvent.objects.order_by("pk").values_list("pk", flat=True))


def test_rows_come_as_the_orm_gives_them(events) -> None:
    rows = ConversionEvent.objects.order_by("pk")

    assert fetch(rows, COLUMNS) == list(rows.values_list(*COLUMNS))
    assert fetch(rows.filter(pk=0), COLUMNS) == []


def test_keys_are_one_parameter(events) -> None:
    first, second, third = events
    found = ConversionEvent.objects.filter(pk__one_of=[third, first, first, 0]).order_by("pk")

    assert list(found.values_list("pk", flat=True)) == [first, third]
    assert not ConversionEvent.objects.filter(pk__one_of=[]).exists()
    assert ConversionEvent.objects.get(pk__one_of=keys.Keys([second, 0])).pk == second
    assert list(
        keys.without(ConversionEvent.objects.all(), keys.Keys([first, third])).values_list("pk", flat=True)
    ) == [second]
    assert keys.without(ConversionEvent.objects.all(), keys.NO_KEYS).count() == 3


@needs_postgresql
def test_a_batch_is_read_in_its_order_without_sorting_what_is_due(events) -> None:
    rule = ConversionRule.objects.get(crm_event="lead_created")
    batch = due_events().filter(rule=rule).order_by("next_attempt_at", "pk")[:5]

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        plan = batch.explain()

    assert "Index Scan using events_due" in plan
    assert "Sort" not in plan


@needs_postgresql
def test_thousands_of_rows_are_read_by_one_process(events) -> None:
    fetch(ConversionEvent.objects.all(), COLUMNS)

    with connection.cursor() as cursor:
        cursor.execute("SHOW max_parallel_workers_per_gather")
        assert cursor.fetchone() == ("0",)


@needs_postgresql
def test_the_hashes_of_a_request_are_stored_as_they_are() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT attstorage FROM pg_attribute WHERE attrelid = 'capi_attempt'::regclass"
                       " AND attname = 'sent_hashes'")  # fmt: skip
        assert cursor.fetchone() == ("e",)  # EXTERNAL
